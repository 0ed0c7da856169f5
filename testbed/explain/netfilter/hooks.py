"""Where base chains hang: their hooks and priorities, iptables' tables and nft's chains alike."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from testbed.net.facts import Chain, NftChain
from testbed.net.netfilter.iptables import BUILT_IN

_HOOK = re.compile(
    r"type (?P<kind>\w+) hook (?P<hook>\w+).* priority (?P<priority>[^;]+);"
    r"(?: policy (?P<policy>\w+);)?"
)
_PRIORITY = re.compile(r"(?P<name>[a-z]*) ?(?P<offset>[+-]? ?\d+)?")

# linux/netfilter_ipv4.h: NF_IP_PRI_*, by nft's names for them
PRIORITIES = {
    "raw": -300,
    "mangle": -150,
    "dstnat": -100,
    "filter": 0,
    "security": 50,
    "srcnat": 100,
}
# linux/netfilter_bridge.h: NF_BR_PRI_*
BRIDGE_PRIORITIES = {"dstnat": -300, "filter": -200, "out": 100, "srcnat": 300}
CONNTRACK = -200  # NF_IP_PRI_CONNTRACK
NAT: Mapping[str, int] = {"prerouting": -100, "output": -100, "input": 100, "postrouting": 100}


@dataclass(frozen=True, slots=True)
class BaseChain:
    """A chain that packets enter by themselves.  kind: filter, nat or route."""

    family: str
    table: str
    name: str
    kind: str
    hook: str
    priority: int
    policy: str = "accept"

    @property
    def order(self) -> tuple[int, bool]:
        """Of equal priorities the one that came last is first: nft's, written after iptables."""
        return self.priority, self.family == "iptables"


def base_chain(fact: Chain | NftChain) -> BaseChain | None:
    """How a chain is hooked; None for one that is only jumped to."""
    if isinstance(fact, Chain):
        return _of_iptables(fact) if fact.name in BUILT_IN else None
    match = _HOOK.search(fact.hook)
    if match is None:
        return None
    names = BRIDGE_PRIORITIES if fact.family == "bridge" else PRIORITIES
    return BaseChain(
        family=fact.family,
        table=fact.table,
        name=fact.name,
        kind=match["kind"],
        hook=match["hook"],
        priority=_priority(match["priority"], names),
        policy=match["policy"] or "accept",
    )


def _of_iptables(fact: Chain) -> BaseChain:
    hook = fact.name.lower()
    is_nat = fact.table == "nat"
    kinds = {"nat": "nat", "mangle": "route" if hook == "output" else "filter"}
    return BaseChain(
        family="iptables",
        table=fact.table,
        name=fact.name,
        kind=kinds.get(fact.table, "filter"),
        hook=hook,
        priority=NAT[hook] if is_nat else PRIORITIES.get(fact.table, 0),
        policy=fact.policy.lower() or "accept",
    )


def _priority(text: str, names: Mapping[str, int]) -> int:
    """`dstnat - 10`, `filter`, `-150`."""
    match = _PRIORITY.fullmatch(text.strip())
    if match is None:
        return 0
    offset = (match["offset"] or "0").replace(" ", "")
    return names.get(match["name"], 0) + int(offset)
