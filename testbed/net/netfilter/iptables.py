"""iptables chains as `iptables-nft-restore` reads them and `iptables-nft-save` prints them.

The text of a rule is what `iptables-save` prints after `-A CHAIN `, alike in 1.8.9, 1.8.10 and
1.8.11: interfaces and addresses first, masks spelt out, matches in the order they were given.

    -i eni+ -m comment --comment "AWS, primary ENI" -j CONNMARK --restore-mark --nfmask 0x80 …
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import groupby

from testbed.net.facts import Chain, ChainPiece, ChainRule, Fact

# iptables(8), TABLES; in the order in which a packet meets them
TABLES = ("raw", "mangle", "nat", "filter", "security")
ACCEPT = "ACCEPT"  # the policy of a built-in chain that says none
NO_CHAINS: frozenset[Chain] = frozenset()
BUILT_IN = frozenset({"PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"})

_POLICY = re.compile(r":(\S+) (\S+)")
_RULE = re.compile(r"(?:\[\d+:\d+\] )?-A (\S+) ?(.*)")  # `iptables-save -c` has counters in front
_PROGRAM = re.compile(r"^ip\S+-restore(?: v\S+ \(nf_tables\))?: ", re.MULTILINE)
_LINE_NUMBER = re.compile(r"\bline:? (\d+)")
_MISSING_CHAIN = re.compile(r"Chain '(\S+)' does not exist")


def merge(pieces: Iterable[ChainPiece]) -> frozenset[Chain]:
    """The chains that several owners share, each with its pieces by position, then by owner."""
    ordered = sorted(pieces, key=lambda piece: (*_place(piece), piece.position, piece.owner))
    chains = (_merged(list(shared)) for _, shared in groupby(ordered, key=_place))
    return frozenset(chain for chain in chains if not _is_default(chain))


def _place(piece: ChainPiece) -> tuple[str, str, str]:
    return piece.ns, piece.table, piece.chain


def _merged(pieces: list[ChainPiece]) -> Chain:
    ns, table, name = _place(pieces[0])
    rules = tuple(rule for piece in pieces for rule in piece.rules)
    why = "; ".join(piece.why for piece in pieces if piece.why)
    return Chain(ns=ns, table=table, name=name, rules=rules, why=why)


def changes_text(found: Iterable[Fact], wanted: Iterable[Fact]) -> str:
    """What differs in one namespace, for `iptables-nft-restore --noflush`; empty for nothing.

        *nat
        :KUBE-SVC-LOLE4ISW44XBNF3G - [0:0]        (made, or emptied)
        :KUBE-SEP-NH7HY54XWBCLWGPQ - [0:0]
        -F PREROUTING                             (a built-in chain is emptied so)
        -A KUBE-SVC-LOLE4ISW44XBNF3G …
        -X KUBE-SEP-NH7HY54XWBCLWGPQ
        COMMIT

    Chains that stay as they are do not come in it: one endpoint costs what its chains cost.
    """
    before, after = _by_table(found), _by_table(wanted)
    return "".join(
        _difference(name, before.get(name, NO_CHAINS), after.get(name, NO_CHAINS))
        for name in _known(before | after)
        if before.get(name) != after.get(name)
    )


def _difference(table: str, before: frozenset[Chain], after: frozenset[Chain]) -> str:
    old = {chain.name: chain for chain in before}
    kept = {chain.name for chain in after}
    gone = _ordered(chain for chain in before if chain.name not in kept)
    changed = _ordered(after - before)
    lines = [
        f"*{table}",
        *_declarations(changed, old),
        *_declarations((replace(chain, rules=(), policy="") for chain in gone), old),
        *(f"-F {c.name}" for c in (*changed, *gone) if c.name in BUILT_IN and c.name in old),
        *_rules(changed),
        *(f"-X {chain.name}" for chain in gone if chain.name not in BUILT_IN),
        "COMMIT",
    ]
    return "\n".join(lines) + "\n"


def restore_text(chains: Iterable[Chain]) -> str:
    """Whole tables of one namespace, for `iptables-nft-restore` without `--noflush`.

        *nat
        :AWS-SNAT-CHAIN-0 - [0:0]
        -A POSTROUTING -m comment --comment "AWS SNAT CHAIN" -j AWS-SNAT-CHAIN-0
        COMMIT

    A built-in chain comes with its first rule.  A line for its policy is there only for DROP: with
    one for each chain, a small table takes two to four times as long (2.5 ms; 10.7 ms).
    """
    tables = _by_table(chains)
    return "".join(_table_text(name, tables[name]) for name in _known(tables))


def parse_save(ns: str, text: str) -> frozenset[Chain]:
    """The chains of `iptables-nft-save`; built-in ones without rules and policy are no facts."""
    policies: dict[tuple[str, str], str] = {}
    rules: dict[tuple[str, str], list[ChainRule]] = {}
    table = ""
    for line in text.splitlines():
        if line.startswith("*"):
            table = line[1:].strip()
        elif declared := _POLICY.match(line):
            policies[table, declared[1]] = "" if declared[2] in ("-", "ACCEPT") else declared[2]
        elif rule := _RULE.match(line):
            rules.setdefault((table, rule[1]), []).append(ChainRule(rule[2]))
    chains = (
        Chain(
            ns=ns,
            table=of,
            name=name,
            rules=tuple(rules.get((of, name), ())),
            policy=policies.get((of, name), ""),
        )
        for of, name in policies | rules
    )
    return frozenset(chain for chain in chains if not _is_default(chain))


def refusal(text: str, message: str) -> str:
    """What `iptables-nft-restore` has against a restore text, and the line it means if known.

    It names lines by number: `Error occurred at line: 4`, or, when the kernel refuses,
    `line 3: RULE_APPEND failed (No such file or directory): rule in chain PREROUTING`.
    """
    said = [line for line in _PROGRAM.sub("", message).splitlines() if line.strip()]
    kept = [line for line in said if not line.startswith(("Error occurred at", "Try `"))]
    line = _offending_line(text.splitlines(), message)
    return "\n".join([*kept, *([f"refused: {line}"] if line else [])])


def _offending_line(lines: list[str], message: str) -> str:
    # a jump to a chain that is not there is noticed at the table's COMMIT only
    if missing := _MISSING_CHAIN.search(message):
        jump = re.compile(rf"-[jg] {re.escape(missing[1])}(?: |$)")
        return next((line for line in lines if jump.search(line)), "")
    number = _LINE_NUMBER.search(message)
    return "".join(lines[int(number[1]) - 1 : int(number[1])]) if number else ""


def _by_table(facts: Iterable[Fact]) -> dict[str, frozenset[Chain]]:
    tables: dict[str, set[Chain]] = {}
    for fact in facts:
        if isinstance(fact, Chain) and not _is_default(fact):
            tables.setdefault(fact.table, set()).add(fact)
    return {name: frozenset(chains) for name, chains in tables.items()}


def _known(tables: Iterable[str]) -> list[str]:
    """The tables in iptables' own order."""
    return sorted(tables, key=lambda name: (TABLES.index(name) if name in TABLES else -1, name))


def _is_default(chain: Chain) -> bool:
    return chain.name in BUILT_IN and not chain.rules and chain.policy in ("", "ACCEPT")


def _ordered(chains: Iterable[Chain]) -> list[Chain]:
    """Built-in ones first, each by its name."""
    return sorted(chains, key=lambda chain: (chain.name not in BUILT_IN, chain.name))


def _table_text(table: str, chains: Iterable[Chain]) -> str:
    ordered = _ordered(chains)
    lines = [f"*{table}", *_declarations(ordered, {}), *_rules(ordered), "COMMIT"]
    return "\n".join(lines) + "\n"


def _declarations(chains: Iterable[Chain], old: Mapping[str, Chain]) -> Iterator[str]:
    """Custom chains, and the policies that are others than those of old."""
    for chain in chains:
        before = old[chain.name].policy if chain.name in old else ""
        if chain.name not in BUILT_IN:
            yield f":{chain.name} - [0:0]"
        elif (chain.policy or ACCEPT) != (before or ACCEPT):
            yield f":{chain.name} {chain.policy or ACCEPT} [0:0]"


def _rules(chains: Iterable[Chain]) -> Iterator[str]:
    for chain in chains:
        for rule in chain.rules:
            yield f"-A {chain.name} {rule}".rstrip()
