"""Security groups as nft: who an ENI may talk with, in as many look-ups as one rule would take.

Of a packet that is new to an ENI the router asks three maps: which groups the ENI has, what they
allow on the port, and whether the peer is one of those.  For node-2 with the group `web`:

    security-groups-in  rt ip nexthop vmap @receivers               10.0.2.4 : jump in/web
    in/web              meta l4proto . th dport vmap @in/web/ports  tcp . 80 : goto in/web/tcp/80
    in/web/tcp/80       ip saddr @in/web/tcp/80 goto tracked-in

Connections are tracked for each ENI apart: a bit of the connection's mark for the ENI that began
it, one for the ENI that answers.  An ENI that does not track it judges each of its packets.
"""

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Network

from testbed.net import names
from testbed.net.facts import ChainRule, Fact, NftChain, NftElement, NftSet
from testbed.vpc.checks.ranges import widest
from testbed.vpc.eni import Eni
from testbed.vpc.fabric.eni import port
from testbed.vpc.model import Vpc
from testbed.vpc.naming import router
from testbed.vpc.security import tracking
from testbed.vpc.security.model import ALL, ALL_PORTS, ELSEWHERE, PORTED
from testbed.vpc.security.permissions import (
    OPPOSITE,
    Allowed,
    Direction,
    allowed,
    anywhere,
    is_open,
    rules_of,
)
from testbed.vpc.security.spelling import boxes, other_protocol

FAMILY, TABLE = "ip", "vpc"
LONGEST_PROFILE = 100  # characters; nft allows 128 for a chain, and ports follow
NO_RULE, NO_RULES = "no rule of a security group", "security groups without rules"
PEER = {"out": "ip daddr", "in": "ip saddr"}  # the side a rule's peer is on
ALWAYS_TRACKED = "always-tracked"

# The groups of each instance's ENIs, in the topology's order; who is not there has none.  An ENI
# that has others than its instance is there too, as `node-1/1`.
Memberships = Mapping[str, tuple[str, ...]]


def profile(groups: Iterable[str]) -> str:
    """What ENIs with the same groups share: `web`, `db.web`."""
    name = ".".join(sorted(groups))
    return name if len(name) <= LONGEST_PROFILE else names.digest("groups", name, length=12)


def group_facts(
    vpc: Vpc, enis: Iterable[Eni], groups: Memberships, peers: Iterable[Eni] = ()
) -> Iterator[Fact]:
    """The security groups of a VPC's ENIs; nothing for a VPC that describes none.

    peers: the ENIs of other VPCs whose groups may be named as `VPC/GROUP`.
    """
    if not vpc.security_groups:
        return
    ns, enis = router(vpc.name), tuple(enis)
    members = [(eni, of) for eni in enis if (of := groups_of(eni, groups))]
    carried = {profile(of): tuple(sorted(of)) for _, of in members}
    yield from _interfaces(ns, members, carried)
    yield from _members(ns, vpc, members)
    yield from _members_elsewhere(ns, vpc, [(eni, groups_of(eni, groups)) for eni in peers])
    yield from _always_tracked(ns, enis)
    yield from tracking.facts(ns)
    known = {group.name: group for group in vpc.security_groups}
    lists = {one.name: one for one in vpc.prefix_lists}
    for of in carried.values():
        both: dict[Direction, tuple[Allowed, ...]] = {
            direction: allowed([known[group] for group in of], direction, lists)
            for direction in OPPOSITE
        }
        for direction, rules in both.items():
            yield from _Profile(ns, of, direction).facts(rules, both[OPPOSITE[direction]])


def groups_of(eni: Eni, groups: Memberships) -> tuple[str, ...]:
    """The groups of an ENI: its own, or those of its instance."""
    own = groups.get(f"{eni.instance}/{eni.device_index}")
    return own or groups.get(eni.instance, ())


def _interfaces(
    ns: str, members: list[tuple[Eni, tuple[str, ...]]], profiles: Mapping[str, tuple[str, ...]]
) -> Iterator[Fact]:
    """Which groups the ENI has that a packet comes from, and the one it is for.

    The sender is known by its port, while the frame is in the subnet's bridge, and goes on as a
    number in the packet's mark; the receiver is whoever has the next hop of the packet's route.
    """
    yield NftSet(
        ns=ns,
        family="bridge",
        table=TABLE,
        name="groups",
        key_type="ifname",
        value_type="mark",
        why="the security groups of the ENI behind a port, as a mark",
    )
    for name, key in (("senders", "mark"), ("receivers", "ipv4_addr")):
        yield NftSet(
            ns=ns, family=FAMILY, table=TABLE, name=name, key_type=key, value_type="verdict"
        )
    numbers = {name: f"0x{tracking.groups_mark(i):08x}" for i, name in enumerate(sorted(profiles))}
    for name, number in numbers.items():
        why = f"ENIs with {', '.join(profiles[name])}"
        yield _element(ns, "senders", number, f"jump out/{name}", why)
    for eni, of in members:
        why = f"{eni.id} of {eni.instance} has {', '.join(of)}"
        yield NftElement(
            ns=ns,
            family="bridge",
            table=TABLE,
            set="groups",
            element=f'"{port(eni)}"',
            value=numbers[profile(of)],
            why=why,
        )
        yield _element(ns, "receivers", str(eni.primary), f"jump in/{profile(of)}", why)


def _members(ns: str, vpc: Vpc, members: list[tuple[Eni, tuple[str, ...]]]) -> Iterator[Fact]:
    """The addresses that each group stands for where a rule names it."""
    for group in vpc.security_groups:
        name = f"members/{group.name}"
        yield NftSet(ns=ns, family=FAMILY, table=TABLE, name=name, key_type="ipv4_addr")
        for eni, of in members:
            if group.name in of:
                why = f"a private address of {eni.instance}, whose {eni.id} has {group.name}"
                for address in eni.delivered:
                    yield _element(ns, name, str(address), "", why)


def _members_elsewhere(
    ns: str, vpc: Vpc, carried: list[tuple[Eni, tuple[str, ...]]]
) -> Iterator[Fact]:
    """The same for the groups of peered VPCs that rules name."""
    rules = [
        rule for group in vpc.security_groups for way in OPPOSITE for rule in rules_of(group, way)
    ]
    for named in sorted({rule.group for rule in rules if ELSEWHERE in rule.group}):
        other, _, name = named.partition(ELSEWHERE)
        into = f"members/{named}"
        yield NftSet(ns=ns, family=FAMILY, table=TABLE, name=into, key_type="ipv4_addr")
        for eni, of in carried:
            if eni.vpc == other and name in of:
                why = f"a private address of {eni.instance}, whose {eni.id} has {named}"
                for address in eni.delivered:
                    yield _element(ns, into, str(address), "", why)


def _always_tracked(ns: str, enis: Iterable[Eni]) -> Iterator[Fact]:
    why = "connections through it are tracked automatically (VPC User Guide)"
    yield NftSet(
        ns=ns, family=FAMILY, table=TABLE, name=ALWAYS_TRACKED, key_type="ipv4_addr", why=why
    )
    for eni in enis:
        if eni.interface_type in ("nat_gateway", "network_load_balancer"):
            yield _element(ns, ALWAYS_TRACKED, str(eni.primary), "", why)


class _Profile:
    """The chains and maps of one profile in one direction."""

    def __init__(self, ns: str, groups: tuple[str, ...], direction: Direction) -> None:
        self._ns = ns
        self._direction = direction
        self._name = f"{direction}/{profile(groups)}"
        self._groups = ", ".join(groups)

    def facts(self, rules: tuple[Allowed, ...], opposite: tuple[Allowed, ...]) -> Iterator[Fact]:
        """rules: what is allowed in this direction, opposite: in the other one."""
        chains = [self._name_of(one) for one in rules]
        yield self._entry(rules)
        yield from self._maps(rules)
        for name, one in zip(chains, rules, strict=True):
            untracked = one.protocol in PORTED and is_open(opposite, one.protocol)
            yield from self._peers(name, one, untracked=untracked)

    def _name_of(self, one: Allowed) -> str:
        """`in/web/tcp/80`, `in/web/all`."""
        ports = "" if one.numbers == ALL_PORTS else f"/{one.numbers}"
        return f"{self._name}/{one.protocol}{ports}"

    def _entry(self, rules: tuple[Allowed, ...]) -> NftChain:
        """One look-up for each kind of protocol, then what is allowed for all others."""
        kinds = {one.protocol for one in rules}
        numbered = sorted(kind for kind in kinds if kind.isdigit())
        lookups = {
            f"meta l4proto . th dport vmap @{self._name}/ports": bool(kinds & {*PORTED}),
            f"icmp type . icmp code vmap @{self._name}/icmp-types": "icmp" in kinds,
            **{f"{other_protocol(kind)} goto {self._name}/{kind}": True for kind in numbered},
            f"meta l4proto != {{ icmp, tcp, udp }} goto {self._name}/all": ALL in kinds,
        }
        texts = [text for text, is_used in lookups.items() if is_used]
        refusal = self._refusal(NO_RULE if rules else NO_RULES)
        chain_rules = (*[ChainRule(text) for text in texts], refusal)
        why = f"what {self._groups} allow{'s' if ',' not in self._groups else ''}"
        return self._chain(self._name, chain_rules, f"{why} {self._direction}")

    def _maps(self, rules: tuple[Allowed, ...]) -> Iterator[Fact]:
        kinds = {one.protocol for one in rules}
        for name, key, is_used in (
            ("ports", "inet_proto . inet_service", bool(kinds & {*PORTED})),
            ("icmp-types", "icmp_type . icmp_code", "icmp" in kinds),
        ):
            if is_used:
                yield NftSet(
                    ns=self._ns,
                    family=FAMILY,
                    table=TABLE,
                    name=f"{self._name}/{name}",
                    key_type=key,
                    value_type="verdict",
                    flags="interval",
                )
        for one in rules:
            for kind, key in _keys(one):
                why = "; ".join(sorted(set(one.peers.values())))
                into, goto = f"{self._name}/{kind}", f"goto {self._name_of(one)}"
                yield _element(self._ns, into, key, goto, why)

    def _peers(self, name: str, one: Allowed, *, untracked: bool) -> Iterator[Fact]:
        """The chain that looks for the peer, and the set of the ranges it may be in."""
        open_to_all = anywhere(one)
        if open_to_all:
            yield self._chain(name, tuple(self._to_all(open_to_all, untracked=untracked)), "")
            return
        networks = {peer: why for peer, why in one.peers.items() if isinstance(peer, IPv4Network)}
        groups = {peer: why for peer, why in one.peers.items() if isinstance(peer, str)}
        side, track = PEER[self._direction], tracking.tracked(self._direction)
        whys = "; ".join(sorted(set(networks.values())))
        lines = [ChainRule(f"{side} @{name} goto {track}", whys)] if networks else []
        lines += [
            ChainRule(f"{side} @members/{group} goto {track}", why)
            for group, why in sorted(groups.items())
        ]
        yield self._chain(name, (*lines, self._refusal(NO_RULE)), "")
        if networks:
            yield NftSet(
                ns=self._ns,
                family=FAMILY,
                table=TABLE,
                name=name,
                key_type="ipv4_addr",
                flags="interval",
            )
        for network in widest(networks):
            yield _element(self._ns, name, _shown(network), "", networks[network])

    def _to_all(self, why: str, *, untracked: bool) -> Iterator[ChainRule]:
        track = tracking.tracked(self._direction)
        if not untracked:
            yield ChainRule(f"goto {track}", why)
            return
        if self._direction == "out":
            always = "tracked automatically (VPC User Guide)"
            yield ChainRule(f"rt ip nexthop @{ALWAYS_TRACKED} goto {track}", f"{why}; {always}")
        yield ChainRule("return", f"{why}, and everything back: not tracked (VPC User Guide)")

    def _refusal(self, comment: str) -> ChainRule:
        why = f"ENI_SG_RULES_MISMATCH: no {self._direction}bound rule of {self._groups} allows it"
        return ChainRule(f'counter drop comment "{comment}"', why)

    def _chain(self, name: str, rules: tuple[ChainRule, ...], why: str) -> NftChain:
        return NftChain(ns=self._ns, family=FAMILY, table=TABLE, name=name, rules=rules, why=why)


def _keys(one: Allowed) -> Iterator[tuple[str, str]]:
    """The map, and in it the key, for which some peers are allowed; ICMP may need several."""
    if one.protocol in PORTED:
        yield "ports", f"{one.protocol} . {one.numbers}"
    elif one.protocol == "icmp":
        yield from (("icmp-types", box) for box in boxes(one.numbers))


def _shown(network: IPv4Network) -> str:
    """As nft prints it: an address without its /32."""
    return str(network.network_address) if network.prefixlen == 32 else str(network)


def _element(ns: str, into: str, element: str, value: str, why: str) -> NftElement:
    return NftElement(
        ns=ns, family=FAMILY, table=TABLE, set=into, element=element, value=value, why=why
    )
