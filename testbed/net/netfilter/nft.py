"""nft sets, elements and chains as `nft -f` reads them and `nft -s list ruleset` prints them.

Texts are what nft 1.0.6 (Debian 12) prints: names of hook priorities, marks with eight digits
(`meta mark & 0x00000001`), device names quoted, ranges as prefixes.  What 1.0.9 (Ubuntu 24.04) and
1.1.3 (Debian 13) print otherwise is read as the same.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from testbed.net.facts import ChainRule, Fact, NftChain, NftElement, NftSet
from testbed.net.netfilter import iptables
from testbed.net.netfilter.spelling import canonical

Table = tuple[str, str]  # family and name

# The names of the tables that iptables-nft, ip6tables-nft, arptables-nft and ebtables-nft make,
# as far as facts are not read of them
XTABLES = {
    "ip": iptables.TABLES,
    "ip6": iptables.TABLES,
    "arp": ("filter",),
    "bridge": ("nat", "broute"),  # `filter` is kubenet's, and so ours
}

# nft's indentation tells where a table, a set or a chain ends, whatever stands inside quotes
_TABLE = re.compile(r"^table (\S+) (\S+) \{[^\n]*\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_OWNED = re.compile(r"^\tflags [^\n]*\bowner\b", re.MULTILINE)
_OBJECT = re.compile(r"^\t(set|map|chain) (\S+) \{[^\n]*\n(.*?)^\t\}", re.MULTILINE | re.DOTALL)
_WRAPPED = re.compile(r",\n\s*")  # an element list goes on in the next line
_ELEMENT = re.compile(r'(?:"[^"]*"|[^",])+')
_KEY_AND_VALUE = re.compile(r'((?:"[^"]*"|[^"])*?) : (.*)')
_COUNT = re.compile(r"\s+# count \d+$")  # 1.1 on a set's size
_ERROR = re.compile(r":(\d+):\d+-\d+: Error: (.*)")

NftFact = NftSet | NftChain | NftElement

_DELETE_CHAIN = "delete chain "

LINES_A_PART = 1000  # with long elements 120 kB of netlink, of 212,992 that a socket sends at once


@dataclass(frozen=True)
class _Content:
    """What a table holds, by name."""

    sets: Mapping[str, NftSet] = field(default_factory=dict)
    chains: Mapping[str, NftChain] = field(default_factory=dict)
    elements: frozenset[NftElement] = frozenset()


def script(found: Iterable[Fact], wanted: Iterable[Fact]) -> str:
    """One transaction for `nft -f` that turns a namespace's found tables into the wanted ones.

    Empty when nothing differs.  A chain whose rules differ gets all of them anew; a table in which
    a set or a hook is declared otherwise is made anew, because rules elsewhere may hold it.
    """
    before, after = _tables(found), _tables(wanted)
    lines: list[str] = []
    for table in sorted(before.keys() | after.keys()):
        lines += _table_lines(table, before.get(table), after.get(table))
    return "".join(f"{line}\n" for line in lines)


def parts(script: str) -> Iterator[str]:
    """The same as several transactions, in order, where one is too long for the kernel."""
    part: list[str] = []
    for line in script.splitlines(keepends=True):
        begins = line[0] not in "\t}"  # a command; an element list goes on
        if begins and len(part) >= LINES_A_PART:
            yield "".join(part)
            part = []
        part.append(line)
    yield "".join(part)


def without_deleted_chains(script: str) -> tuple[str, str]:
    """The script but for the removal of chains, and that.

    Linux before 6.2 knows a little later only that nothing leads to a chain any more whose map's
    element was deleted (kubernetes, pkg/proxy/nftables/proxier.go: staleChains).
    """
    lines = script.splitlines(keepends=True)
    gone = [line for line in lines if line.startswith(_DELETE_CHAIN)]
    return "".join(line for line in lines if line not in gone), "".join(gone)


def _tables(facts: Iterable[Fact]) -> dict[Table, _Content]:
    tables: dict[Table, list[NftFact]] = {}
    for fact in facts:
        if isinstance(fact, NftFact):
            tables.setdefault((fact.family, fact.table), []).append(fact)
    return {table: _content(those) for table, those in tables.items()}


def _content(facts: Iterable[NftFact]) -> _Content:
    return _Content(
        sets={fact.name: fact for fact in facts if isinstance(fact, NftSet)},
        chains={fact.name: fact for fact in facts if isinstance(fact, NftChain)},
        elements=frozenset(fact for fact in facts if isinstance(fact, NftElement)),
    )


def _table_lines(table: Table, before: _Content | None, after: _Content | None) -> Iterator[str]:
    name = " ".join(table)
    if before and (after is None or _redeclared(before, after)):
        yield f"delete table {name}"
        before = None
    if after:
        if before is None:
            yield f"add table {name}"
        yield from _difference(name, before or _Content(), after)


def _redeclared(before: _Content, after: _Content) -> bool:
    sets = before.sets.keys() & after.sets.keys()
    chains = before.chains.keys() & after.chains.keys()
    return any(before.sets[name] != after.sets[name] for name in sets) or any(
        before.chains[name].hook != after.chains[name].hook for name in chains
    )


def _difference(table: str, before: _Content, after: _Content) -> Iterator[str]:
    """Removals first: elements may name chains, and rules may name sets and chains."""
    gone_sets = [before.sets[name] for name in sorted(before.sets.keys() - after.sets.keys())]
    gone_chains = sorted(before.chains.keys() - after.chains.keys())
    new_sets = [after.sets[name] for name in sorted(after.sets.keys() - before.sets.keys())]
    new_chains = sorted(after.chains.keys() - before.chains.keys())
    changed = [
        chain for name, chain in sorted(after.chains.items()) if before.chains.get(name) != chain
    ]
    kept = {element for element in before.elements if element.set in after.sets}
    yield from _element_lines("delete", table, kept - after.elements)
    for name in [*gone_chains, *(chain.name for chain in changed if chain.name in before.chains)]:
        yield f"flush chain {table} {name}"
    yield from (f"delete {_kind(gone)} {table} {gone.name}" for gone in gone_sets)
    yield from (f"{_DELETE_CHAIN}{table} {name}" for name in gone_chains)
    yield from (_set_line(table, new) for new in new_sets)
    yield from (_chain_line(table, after.chains[name]) for name in new_chains)
    yield from _element_lines("add", table, after.elements - before.elements)
    for chain in changed:
        yield from (f"add rule {table} {chain.name} {rule}" for rule in chain.rules)


def _kind(declared: NftSet) -> str:
    return "map" if declared.value_type else "set"


def _set_line(table: str, declared: NftSet) -> str:
    types = "" if declared.key_type.startswith("typeof ") else "type "
    types += declared.key_type
    types += f" : {declared.value_type}" if declared.value_type else ""
    flags = [f"flags {declared.flags}"] if declared.flags else []
    inside = "; ".join([types, *flags, *declared.options])
    return f"add {_kind(declared)} {table} {declared.name} {{ {inside}; }}"


def _chain_line(table: str, chain: NftChain) -> str:
    hook = f" {{ {chain.hook} }}" if chain.hook else ""
    return f"add chain {table} {chain.name}{hook}"


def _element_lines(verb: str, table: str, elements: Iterable[NftElement]) -> Iterator[str]:
    """`add element TABLE SET {` and one element a line, so that an error names its element."""
    by_set: dict[str, list[str]] = {}
    for element in elements:
        text = f"{element.element} : {element.value}" if element.value else element.element
        by_set.setdefault(element.set, []).append(text)
    for name, texts in sorted(by_set.items()):
        texts.sort()
        for start in range(0, len(texts), LINES_A_PART):
            yield f"{verb} element {table} {name} {{"
            yield from (f"\t{text}," for text in texts[start : start + LINES_A_PART])
            yield "}"


def parse_list(ns: str, text: str) -> frozenset[Fact]:
    """The facts of `nft -s list ruleset`, but for the tables of iptables-nft.

    Not read: tables that belong to a running program (`flags owner`), other objects (counters,
    flowtables, …), comments of tables and chains, what packets put into a set (`flags dynamic`).
    """
    facts: set[Fact] = set()
    for family, table, content in _TABLE.findall(text):
        if table not in XTABLES.get(family, ()) and not _OWNED.search(content):
            for kind, name, body in _OBJECT.findall(content):
                lines = [line.strip() for line in _WRAPPED.sub(", ", body).splitlines()]
                read = _chain_facts if kind == "chain" else _set_facts
                facts.update(read(ns, (family, table), name, lines))
    return frozenset(facts)


def _chain_facts(ns: str, table: Table, name: str, lines: list[str]) -> Iterator[Fact]:
    hook = ""
    rules = []
    for line in lines:
        if line.startswith("type ") and " hook " in line:
            hook = canonical(line)
        elif not line.startswith("comment "):
            rules.append(ChainRule(canonical(line)))
    yield NftChain(
        ns=ns, family=table[0], table=table[1], name=name, hook=hook, rules=tuple(rules)
    )


def _set_facts(ns: str, table: Table, name: str, lines: list[str]) -> Iterator[Fact]:
    key_type, value_type, flags, elements = "", "", "", ""
    options = []
    for line in lines:
        word, _, rest = line.partition(" ")
        if word in ("type", "typeof"):
            key_type, _, value_type = rest.partition(" : ")
            key_type = key_type if word == "type" else f"typeof {key_type}"
        elif word == "flags":
            flags = rest
        elif word == "elements":
            elements = rest.removeprefix("= {").removesuffix("}")
        else:
            options.append(_COUNT.sub("", line))
    declared = NftSet(
        ns=ns,
        family=table[0],
        table=table[1],
        name=name,
        key_type=key_type,
        value_type=value_type,
        flags=flags,
        options=tuple(options),
    )
    yield declared
    if "dynamic" not in flags:
        yield from (_element_fact(declared, item.strip()) for item in _ELEMENT.findall(elements))


def _element_fact(declared: NftSet, text: str) -> NftElement:
    pair = _KEY_AND_VALUE.fullmatch(text) if declared.value_type else None
    element, value = pair.groups() if pair else (text, "")
    return NftElement(
        ns=declared.ns,
        family=declared.family,
        table=declared.table,
        set=declared.name,
        element=element,
        value=value,
    )


def refusal(text: str, message: str) -> str:
    """What nft has against a script, and the line it means if known; the first of its errors.

    /dev/stdin:12:24-33: Error: Could not process rule: No such file or directory
    """
    error = _ERROR.search(message)
    if error is None:
        return message.strip()
    line = "".join(text.splitlines()[int(error[1]) - 1 : int(error[1])]).strip()
    return f"{error[2]}\nrefused: {line}" if line else error[2]
