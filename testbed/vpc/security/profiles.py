"""What ENIs with the same groups share, their profile: its chains, maps and sets in nft."""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network

from testbed.net import names
from testbed.net.facts import ChainRule, Fact, NftChain, NftElement, NftSet
from testbed.net.netfilter.spelling import other_protocol
from testbed.vpc.checks.ranges import widest
from testbed.vpc.security import tracking
from testbed.vpc.security.model import ALL, ALL_PORTS, PORTED
from testbed.vpc.security.permissions import Allowed, Direction, anywhere, is_open
from testbed.vpc.security.spelling import boxes

FAMILY, TABLE = "ip", "vpc"
LONGEST_PROFILE = 100  # characters; nft allows 128 for a chain, and ports follow
NO_RULE, NO_RULES = "no rule of a security group", "security groups without rules"
PEER = {"out": "ip daddr", "in": "ip saddr"}  # the side a rule's peer is on
ALWAYS_TRACKED = "always-tracked"


def profile(groups: Iterable[str]) -> str:
    """What ENIs with the same groups share: `web`, `db.web`."""
    name = ".".join(sorted(groups))
    return name if len(name) <= LONGEST_PROFILE else names.digest("groups", name, length=12)


class Profile:
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
                yield element(self._ns, into, key, goto, why)

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
            yield element(self._ns, name, _shown(network), "", networks[network])

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


def element(ns: str, into: str, element: str, value: str, why: str) -> NftElement:
    """An element of one of the router's sets and maps."""
    return NftElement(
        ns=ns, family=FAMILY, table=TABLE, set=into, element=element, value=value, why=why
    )
