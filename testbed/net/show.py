"""A fact as the tool prints it that people know: `ip`, `bridge`, `sysctl`, `iptables-save`."""

from functools import singledispatch

from testbed.net.facts import (
    ANYWHERE,
    DEFAULT_TABLE,
    LOCAL,
    MAIN,
    Address,
    Bridge,
    BridgePort,
    Chain,
    ChainPiece,
    Fact,
    Fdb,
    Foreign,
    IpNetwork,
    Neighbour,
    Netns,
    NftChain,
    NftElement,
    NftSet,
    Route,
    Rule,
    Sysctl,
    Veth,
)
from testbed.net.shaping import Shaper

ALL_BITS = 0xFFFFFFFF
TABLE_NAMES = {MAIN: "main", LOCAL: "local", DEFAULT_TABLE: "default"}  # /etc/iproute2/rt_tables


@singledispatch
def show(fact: Fact) -> str:
    """The fact as one line (a chain: a line for each rule), without its namespace."""
    return repr(fact)


@show.register
def _(fact: Netns) -> str:
    return f"netns {fact.ns}" if fact.up else f"netns {fact.ns}, lo: {_state(fact.up)}"


@show.register
def _(fact: Veth) -> str:
    state = _state(fact.up)
    return f"{fact.name}@{fact.peer_ns}/{fact.peer}: mtu {fact.mtu} {state} link/ether {fact.mac}"


@show.register
def _(fact: Bridge) -> str:
    promisc = "promisc " if fact.promisc else ""
    return f"{fact.name}: bridge {promisc}mtu {fact.mtu} {_state(fact.up)} link/ether {fact.mac}"


@show.register
def _(fact: BridgePort) -> str:
    flags = " ".join(
        f"{name} {'on' if on else 'off'}"
        for name, on in (
            ("hairpin", fact.hairpin),
            ("learning", fact.learning),
            ("flood", fact.flood),
            ("proxy_arp", fact.proxy_arp),
        )
    )
    return f"{fact.dev} master {fact.bridge} {flags}"


@show.register
def _(fact: Address) -> str:
    family = "inet" if fact.ip.version == 4 else "inet6"
    return f"{family} {fact.ip} dev {fact.dev}"


@show.register
def _(fact: Neighbour) -> str:
    return f"{fact.ip} dev {fact.dev} lladdr {fact.mac} {fact.state}"


@show.register
def _(fact: Shaper) -> str:
    """`qdisc htb 1: dev cbr0 root default 0x30`, and a line for each class with its filter."""
    lines = [f"qdisc htb 1: dev {fact.dev} root default {fact.default:#x}"]
    for limit in fact.limits:
        match = f" match ip {limit.side} {limit.address}/32" if limit.side else ""
        lines.append(f"class htb 1:{limit.minor:x} rate {limit.kbit}kbit{match}")
    return "\n".join(lines)


@show.register
def _(fact: Fdb) -> str:
    return f"{fact.mac} dev {fact.dev} master static"


@show.register
def _(fact: Route) -> str:
    """`default via 10.10.0.1 dev eth0`, as `ip route show table T`; the table where not main."""
    words = [fact.kind] if fact.kind != "unicast" else []
    words.append("default" if fact.dst.prefixlen == 0 else _network(fact.dst))
    for word, value in (("via", fact.via), ("dev", fact.dev)):
        words += [word, str(value)] if value else []
    words += ["table", table_name(fact.table)] if fact.table != MAIN else []
    words += ["proto", fact.protocol] if fact.protocol != "boot" else []
    words += ["scope", fact.scope] if fact.scope != "global" else []
    words += ["src", str(fact.src)] if fact.src else []
    words += ["metric", str(fact.metric)] if fact.metric else []
    words += ["onlink"] if fact.onlink else []
    words += ["mtu", str(fact.mtu)] if fact.mtu else []
    return " ".join(words)


@show.register
def _(fact: Rule) -> str:
    """`512:\\tfrom all to 10.10.0.101 lookup main`, as `ip rule`."""
    words = ["from", "all" if fact.src == ANYWHERE else _network(fact.src)]
    words += ["to", _network(fact.dst)] if fact.dst != ANYWHERE else []
    words += ["fwmark", _mark(fact.fwmark, fact.fwmask)] if fact.fwmark or fact.fwmask else []
    words += ["iif", fact.iif] if fact.iif else []
    words += ["lookup", table_name(fact.table)]
    return f"{fact.priority}:\t{' '.join(words)}"


@show.register
def _(fact: Sysctl) -> str:
    return f"{fact.name} = {fact.value}"


@show.register
def _(fact: Foreign) -> str:
    return f"{fact.kind} {fact.text}"


@show.register
def _(fact: Chain | ChainPiece) -> str:
    name = fact.name if isinstance(fact, Chain) else fact.chain
    lines = [
        f"*{fact.table} {name}{f' {fact.policy}' if isinstance(fact, Chain) else ''}".rstrip()
    ]
    return "\n".join([*lines, *(f"-A {name} {rule}" for rule in fact.rules)])


@show.register
def _(fact: NftSet) -> str:
    kind = "map" if fact.value_type else "set"
    types = f"{fact.key_type} : {fact.value_type}" if fact.value_type else fact.key_type
    return f"{kind} {fact.family} {fact.table} {fact.name} {{ type {types} }}"


@show.register
def _(fact: NftElement) -> str:
    element = f"{fact.element} : {fact.value}" if fact.value else fact.element
    return f"element {fact.family} {fact.table} {fact.set} {{ {element} }}"


@show.register
def _(fact: NftChain) -> str:
    head = f"chain {fact.family} {fact.table} {fact.name} {fact.hook}".rstrip()
    return "\n".join([head, *(f"\t{rule}" for rule in fact.rules)])


def _state(up: bool) -> str:
    return "state UP" if up else "state DOWN"


def table_name(table: int) -> str:
    """`main`, or the number of a table without a name."""
    return TABLE_NAMES.get(table, str(table))


def _mark(mark: int, mask: int) -> str:
    """`0x80/0x80`; a mask of all bits is left out."""
    return f"{mark:#x}" if mask == ALL_BITS else f"{mark:#x}/{mask:#x}"


def _network(network: IpNetwork) -> str:
    """As `ip` prints it: a host without its prefix length."""
    return (
        str(network.network_address)
        if network.prefixlen == network.max_prefixlen
        else str(network)
    )
