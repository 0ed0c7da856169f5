"""The texts of rules that nft trace names by handle, kept while a rule set does not change."""

import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from testbed.errors import KernelError
from testbed.explain.evidence.witnesses import OWN_TABLE, RuleName
from testbed.kernel.namespaces.store import NamespaceStore
from testbed.kernel.netlink.socket import NetlinkSocket
from testbed.kernel.netlink.uapi import NETLINK_NETFILTER
from testbed.kernel.netlink.wire import attributes, text
from testbed.kernel.programs.run import run
from testbed.net.netfilter.iptables import TABLES
from testbed.net.netfilter.spelling import canonical
from testbed.probes.observe.nft_trace import nft
from testbed.probes.sockets import inside

TIMEOUT_S = 30.0
AT_A_TIME = 4  # programs
IPTABLES_SAVE = ("iptables-nft-save",)
NFT_LIST = ("nft", "--stateless", "--terse", "--handle", "list", "ruleset")  # terse: no elements

_RULE = re.compile(r"-A (\S+) ?(.*)")
_TABLE = re.compile(r"table (\S+) (\S+) \{")
_CHAIN = re.compile(r"\tchain (\S+) \{")
_LISTED = re.compile(r"\t\t(.*) # handle (\d+)$")

Texts = Mapping[RuleName, str]


class Version(NamedTuple):
    """A rule set at a time: which namespace, by its number, and after how many transactions."""

    namespace: int
    generation: int


class RuleTexts:
    """Rule texts by namespace (state: those that were read, each with its version)."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Version, Texts]] = {}

    def keep(self, ns: str, before: Version, now: Version) -> None:
        """The version `now` has the rules of `before`: only we changed anything."""
        if ns in self._known and self._known[ns][0] == before:
            self._known[ns] = (now, self._known[ns][1])

    def of(self, store: NamespaceStore, versions: Mapping[str, Version]) -> Texts:
        """The texts of all rules of these namespaces.  Raises KernelError, MissingFeature."""
        missing = [ns for ns, now in versions.items() if self._version(ns) != now]
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            read = pool.map(lambda ns: _read(store, ns), missing)
            for ns, found in zip(missing, read, strict=True):
                self._known[ns] = (versions[ns], found)
        return {name: said for ns in versions for name, said in self._known[ns][1].items()}

    def _version(self, ns: str) -> Version | None:
        return self._known[ns][0] if ns in self._known else None


def _read(store: NamespaceStore, ns: str) -> Texts:
    with inside(store, ns):
        names = [name for name in _handles(ns) if not name.table.startswith(OWN_TABLE)]
        iptables = [name for name in names if _is_iptables(name)]
        texts = _saved(iptables, _output(ns, IPTABLES_SAVE)) if iptables else {}
        if len(iptables) < len(names):
            texts |= _listed(ns, _output(ns, NFT_LIST))
        return texts


def _handles(ns: str) -> list[RuleName]:
    """All rules, chain by chain in their order."""
    with NetlinkSocket(NETLINK_NETFILTER) as kernel:
        dump = kernel.dump(nft.GETRULE, bytes(nft.NFGENMSG_BYTES))
    found = [(one[0], attributes(one, nft.NFGENMSG_BYTES)) for one in dump]
    return [
        RuleName(
            ns,
            nft.FAMILIES.get(family, ""),
            text(rule[nft.RULE_TABLE]),
            text(rule[nft.RULE_CHAIN]),
            int.from_bytes(rule[nft.RULE_HANDLE], "big"),
        )
        for family, rule in found
    ]


def _is_iptables(name: RuleName) -> bool:
    return name.family == "ip" and name.table in TABLES


def _saved(names: Iterable[RuleName], output: str) -> dict[RuleName, str]:
    """`iptables-save` prints no handles, but each chain's rules in their order."""
    chains: dict[tuple[str, str], list[RuleName]] = {}
    for name in names:
        chains.setdefault((name.table, name.chain), []).append(name)
    lines: dict[tuple[str, str], list[str]] = {}
    table = ""
    for line in output.splitlines():
        if line.startswith("*"):
            table = line[1:].strip()
        elif rule := _RULE.match(line):
            lines.setdefault((table, rule[1]), []).append(rule[2])
    return {
        name: said
        for chain, rules in chains.items()
        if len(rules) == len(lines.get(chain, ()))  # else it was changed between the two readings
        for name, said in zip(rules, lines[chain], strict=True)
    }


def _listed(ns: str, output: str) -> dict[RuleName, str]:
    """`nft -a list ruleset`: each rule with its handle behind it."""
    texts: dict[RuleName, str] = {}
    family = table = chain = ""
    for line in output.splitlines():
        if begun := _TABLE.match(line):
            family, table = begun[1], begun[2]
        elif begun := _CHAIN.match(line):
            chain = begun[1]
        elif (rule := _LISTED.match(line)) and not (family == "ip" and table in TABLES):
            name = RuleName(ns, family, table, chain, int(rule[2]))
            texts[name] = canonical(rule[1])
    return texts


def _output(ns: str, argv: tuple[str, ...]) -> str:
    result = run(argv, timeout_s=TIMEOUT_S)
    if result.returncode:
        raise KernelError(f"{ns}: {argv[0]}: {result.stderr.strip()}")
    return result.stdout
