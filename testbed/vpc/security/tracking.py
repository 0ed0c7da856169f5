"""Connection tracking as security groups have it: for each ENI, and not for every flow.

The router's conntrack has one entry for a connection; two bits of the entry's mark say which of
its two ENIs track it.  What an ENI tracks passes both ways, whatever its groups say now; of what
it does not track each packet is judged, so a rule that is removed cuts it at once (VPC User Guide,
"Security group connection tracking").
"""

from collections.abc import Iterator, Mapping

from testbed.net.facts import ChainRule, Fact, NftChain, Sysctl
from testbed.vpc.security.permissions import Direction

# Bits of the packet's mark in the router's namespace; 0x1 is routing's LIFTED, 0x2 fabric's
# EXPIRING
FORWARDED = 0x4  # the source is no address of the ENI that sends it, whose check is off
GROUPS_SHIFT = 16  # the upper half says which groups the sending ENI has; 0 for none
GROUPS_MASK = 0xFFFF0000

CALLER, CALLED = 0x1, 0x2  # bits of the connection's mark: the ENI that began it, that answers
# Whose bit counts for the ENI that a packet leaves or reaches, by the packet's direction
BITS: Mapping[Direction, Mapping[str, int]] = {
    "out": {"original": CALLER, "reply": CALLED},
    "in": {"original": CALLED, "reply": CALLER},
}
# Which groups decide about a packet of a connection that the ENI does not track
LOOKUPS: Mapping[Direction, str] = {
    "out": f"meta mark & 0x{GROUPS_MASK:08x} vmap @senders",
    "in": "rt ip nexthop vmap @receivers",
}

# VPC User Guide, "Security group connection tracking": idle timeouts in seconds
TIMEOUTS = {
    "nf_conntrack_tcp_timeout_established": 432_000,
    "nf_conntrack_udp_timeout": 30,
    "nf_conntrack_udp_timeout_stream": 180,
    "nf_conntrack_generic_timeout": 600,
}


def groups_mark(number: int) -> int:
    """The mark of packets whose sender has the groups of this number, from 0."""
    return number + 1 << GROUPS_SHIFT


def tracked(direction: Direction) -> str:
    """The chain that a packet which a rule allows goes to: the ENI tracks its connection."""
    return f"tracked-{direction}"


def stage(direction: Direction) -> tuple[ChainRule, ...]:
    """The rules of the forward chain's stage: what is tracked passes, the groups judge the rest.

    What an ENI forwards for others is judged packet by packet on its way to who is called: the
    router's one entry may be of the same packet's way to that ENI, in which others were asked.
    """
    bits = BITS[direction]
    own = f"meta mark & 0x{FORWARDED:08x} == 0x00000000"
    why = "the ENI tracks the connection (VPC User Guide, connection tracking)"
    return (
        ChainRule(f"ct direction original {_has(bits['original'])} {own} return", why),
        ChainRule(f"ct direction reply {_has(bits['reply'])} return", why),
        ChainRule(LOOKUPS[direction], "the security groups of the ENI"),
    )


def facts(ns: str) -> Iterator[Fact]:
    """What notes that an ENI tracks a connection, and when connections are forgotten."""
    for direction, bits in BITS.items():
        note = f"ct direction original ct mark set ct mark | 0x{bits['original']:08x}"
        yield NftChain(
            ns=ns,
            family="ip",
            table="vpc",
            name=tracked(direction),
            rules=(ChainRule(note, "the ENI tracks this connection from now on"),),
            why="an answer to what is not tracked is not tracked either",
        )
    for name, seconds in TIMEOUTS.items():
        why = "an idle connection is forgotten (VPC User Guide, connection tracking)"
        yield Sysctl(ns=ns, name=f"net.netfilter.{name}", value=str(seconds), why=why)
    why = "security groups look at no sequence numbers"
    yield Sysctl(ns=ns, name="net.netfilter.nf_conntrack_tcp_be_liberal", value="1", why=why)


def _has(bit: int) -> str:
    return f"ct mark & 0x{bit:08x} == 0x{bit:08x}"
