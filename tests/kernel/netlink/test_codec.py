"""Facts to netlink messages and back, without a kernel."""

import struct
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Interface, IPv6Network

import pytest
from hypothesis import given
from hypothesis import strategies as some

from testbed.kernel.netlink import decode, devconf, dumped, encode, uapi
from testbed.kernel.netlink.wire import (
    Message,
    Refusal,
    attribute,
    attribute_text,
    attributes,
    first_attribute,
    gather,
    message,
    messages,
    refusal,
)
from testbed.net.facts import ANYWHERE, Address, Fact, Fdb, Foreign, Neighbour, Route, Rule, Sysctl

INDEXES = {"lo": 1, "eth0": 7, "eni1": 300_000}
NAMES = {index: name for name, index in INDEXES.items()}
KINDS: dict[int, type[Fact]] = {
    uapi.RTM_NEWADDR: Address,
    uapi.RTM_NEWROUTE: Route,
    uapi.RTM_NEWRULE: Rule,
    uapi.RTM_NEWNEIGH: Neighbour,
}

devices = some.sampled_from(["eth0", "eni1"])
macs = some.binary(min_size=6, max_size=6).map(lambda packed: packed.hex(":"))
ips = some.integers(1, 2**32 - 1).map(IPv4Address).filter(lambda ip: not ip.is_loopback)
lengths = some.integers(0, 32)
tables = some.one_of(some.integers(1, 254), some.integers(256, 2**32 - 1))
numbers = some.integers(0, 2**32 - 1)


def network(ip: IPv4Address, length: int) -> IPv4Network:
    return IPv4Network((ip, length), strict=False)


networks = some.builds(network, ips, lengths)
addresses = some.builds(
    Address,
    ns=some.just("n1"),
    dev=devices,
    ip=some.builds(lambda ip, length: IPv4Interface((ip, length)), ips, lengths),
)
neighbours = some.builds(Neighbour, ns=some.just("n1"), dev=devices, ip=ips, mac=macs)
entries = some.builds(Fdb, ns=some.just("n1"), dev=devices, mac=macs)
routes = some.builds(
    Route,
    ns=some.just("n1"),
    dst=networks,
    table=tables,
    kind=some.sampled_from(["unicast", "blackhole", "throw", "unreachable", "prohibit"]),
    dev=some.one_of(some.just(""), devices),
    via=some.one_of(some.none(), ips),
    src=some.one_of(some.none(), ips),
    scope=some.sampled_from(["global", "link", "host"]),
    protocol=some.sampled_from(["unspec", "kernel", "boot", "static", "dhcp", "77"]),
    metric=numbers,
    onlink=some.booleans(),
    mtu=numbers,
)
rules = some.builds(
    Rule,
    ns=some.just("n1"),
    priority=numbers,
    table=tables,
    src=networks,
    dst=networks,
    fwmark=numbers,
    fwmask=numbers,
    iif=some.sampled_from(["", "eth0", "eni83dbd022cd5"]),
)


def read(data: bytes, names: Mapping[int, str] = NAMES) -> list[Fact]:
    """The facts in a request's bytes, as if the kernel had sent them."""
    return [
        fact
        for one in messages(data)
        for fact in decode.facts("n1", KINDS[one.kind], [one.body], names)
    ]


@given(some.one_of(addresses, neighbours, entries, rules))
def test_what_is_encoded_is_decoded_as_the_same_fact(fact: Fact) -> None:
    assert read(b"".join(encode.written(fact, INDEXES))) == [fact]


@given(some.one_of(addresses, neighbours, rules, routes))
def test_what_a_dump_says_of_a_fact_is_decoded_as_that_fact(fact: Fact) -> None:
    """So a message of just these bytes need not be decoded."""
    body = dumped.said(fact, INDEXES)

    assert list(decode.facts("n1", type(fact), [body], NAMES)) == [fact]


@given(routes)
def test_a_route_is_decoded_as_the_same_route(route: Route) -> None:
    assert read(b"".join(encode.written(route, INDEXES))) == [route]


@given(some.one_of(addresses, neighbours, entries, rules, routes))
def test_a_fact_is_removed_by_the_same_bytes_under_the_opposite_type(fact: Fact) -> None:
    (write,) = (next(messages(data)) for data in encode.written(fact, INDEXES))
    remove = next(messages(encode.removed(fact, INDEXES)))

    assert remove.kind == write.kind + 1  # RTM_NEWROUTE 24, RTM_DELROUTE 25
    assert remove.body == write.body


@given(some.lists(some.tuples(some.integers(1, 0x3FFF), some.binary(max_size=70))))
def test_attributes_of_any_length_are_read_back(pairs: list[tuple[int, bytes]]) -> None:
    data = b"".join(attribute(kind, value) for kind, value in pairs)

    assert len(data) % 4 == 0
    assert attributes(data) == dict(pairs)


def test_an_attribute_is_found_whatever_flags_its_type_has() -> None:
    """NLA_F_NESTED, which some kernels set and others do not."""
    nested = 0x8000

    assert (
        first_attribute(attribute(1, b"one") + attribute(nested | 3, b"three"), 3, 0) == b"three"
    )
    assert first_attribute(attribute(1, b"one"), 3, 0) == b""


def test_a_device_without_a_number_is_an_error_of_the_caller() -> None:
    with pytest.raises(KeyError, match="eth9"):
        encode.written(Fdb(ns="n1", dev="eth9", mac="02:00:00:00:00:01"), INDEXES)


def test_the_second_address_family_is_a_matter_of_the_address_object() -> None:
    """IPv6 comes later; the codec does not stand in its way."""
    address = Address(ns="n1", dev="eth0", ip=IPv6Interface("2001:db8::5/128"))
    route = Route(ns="n1", dst=IPv6Network("2001:db8::/64"), dev="eth0", scope="link", mtu=1400)

    assert read(encode.written(address, INDEXES)[0]) == [address]
    assert read(encode.written(route, INDEXES)[0]) == [route]


def test_table_local_and_loopback_and_learnt_neighbours_are_left_out() -> None:
    local = Route(ns="n1", dst=IPv4Network("10.0.1.4/32"), kind="local", table=255, dev="eth0")
    loopback = Address(ns="n1", dev="lo", ip=IPv4Interface("127.0.0.1/8"))
    learnt = struct.pack("=BxxxiHBB", 2, 7, 0x04, 0, 0)  # NUD_STALE
    learnt += attribute(uapi.NDA_DST, bytes([10, 0, 1, 4])) + attribute(uapi.NDA_LLADDR, bytes(6))

    assert read(encode.written(local, INDEXES)[0]) == []
    assert read(encode.written(loopback, INDEXES)[0]) == []
    assert read(message(uapi.RTM_NEWNEIGH, 0, learnt)) == []


def test_a_neighbour_of_a_device_that_has_just_come_is_left_out() -> None:
    """Neighbours are read after the links, and users go on meanwhile."""
    fact = Neighbour(ns="n1", dev="eth0", ip=IPv4Address("10.0.0.1"), mac="02:00:00:00:00:01")
    [sent] = messages(encode.written(fact, INDEXES)[0])

    assert decode.neighbour("n1", sent.body, NAMES) == fact
    assert decode.neighbour("n1", sent.body, {1: "lo"}) is None


def test_what_no_fact_can_say_is_foreign_and_its_own_body_removes_it() -> None:
    """A rule for a port (FRA_DPORT_RANGE, 24) must not pass for the rule without it."""
    plain = encode.written(Rule(ns="n1", priority=100, table=7), INDEXES)[0]
    body = plain[16:] + attribute(24, struct.pack("=HH", 80, 80))

    (fact,) = read(message(uapi.RTM_NEWRULE, 0, body))

    assert isinstance(fact, Foreign)
    assert fact.kind == "rule"
    assert fact.text == "100: lookup dport"
    request = next(messages(encode.removed(fact, INDEXES)))
    assert (request.kind, request.body) == (uapi.RTM_DELRULE, body)


def test_the_nth_of_equal_rules_carries_its_number() -> None:
    rule = Rule(ns="n1", priority=512, table=254)

    assert [
        fact.copy for fact in decode.complete([rule, rule, rule]) if isinstance(fact, Rule)
    ] == [
        0,
        1,
        2,
    ]


def test_an_address_without_its_connected_route_says_so() -> None:
    eth0 = Address(ns="n1", dev="eth0", ip=IPv4Interface("10.0.1.4/24"))
    eth1 = Address(ns="n1", dev="eth1", ip=IPv4Interface("10.0.1.9/24"))
    pod = Address(ns="pod", dev="eth0", ip=IPv4Interface("10.0.1.5/32"))
    connected = Route(
        ns="n1", dst=IPv4Network("10.0.1.0/24"), dev="eth0", scope="link", protocol="kernel"
    )

    found = decode.complete([eth0, eth1, pod, connected])

    assert [fact.connected for fact in found if isinstance(fact, Address)] == [True, False, True]


def test_a_devices_sysctls_are_read_out_of_its_dump() -> None:
    """The arrays begin with number 1 for IPv4 and with number 0 for IPv6."""
    ipv4 = struct.pack("=33i", *range(1, 34))
    ipv6 = struct.pack("=30i", *range(30))

    def value(name: str) -> str | None:
        setting = devconf.device_setting(name)
        return devconf.value(setting, ipv4, ipv6) if setting else None

    assert value("net.ipv4.conf.eth0.rp_filter") == "8"
    assert value("net.ipv4.conf.eth0.100.rp_filter") == "8"
    assert value("net.ipv6.conf.eth0.accept_ra") == "3"
    assert value("net.ipv4.conf.eth0.no_such") is None
    assert value("net.ipv4.conf.all.rp_filter") is None
    assert value("net.ipv4.ip_forward") is None


def test_only_sysctls_that_netlink_sets_completely_are_written_by_it() -> None:
    """`forwarding` also switches large receive offload off; netlink only stores the number."""
    strict = Sysctl(ns="n1", name="net.ipv4.conf.eth0.rp_filter", value="1")
    forwarding = Sysctl(ns="n1", name="net.ipv4.conf.eth0.forwarding", value="1")

    (request,) = encode.written(strict, INDEXES)

    settings = attributes(next(messages(request)).body, 16)[uapi.IFLA_AF_SPEC]
    assert attributes(attributes(attributes(settings)[2])[uapi.IFLA_INET_CONF])[8] == b"\1\0\0\0"
    with pytest.raises(NotImplementedError, match="forwarding"):
        encode.written(forwarding, INDEXES)


def test_a_dump_is_gathered_from_datagrams_until_its_end() -> None:
    """A change meanwhile is told by a flag of one of the messages."""
    changed = uapi.NLM_F_DUMP_INTR
    done = struct.pack("=i", 0)
    bodies: list[bytes] = []

    first = gather(message(24, 0, b"odd") + b"\0" + message(24, changed, b"four"), bodies)
    flags, end = gather(message(24, 0, b"five5") + bytes(3) + message(3, 0, done), bodies)

    assert bodies == [b"odd", b"four", b"five5"]
    assert (first[0] & changed, first[1]) == (changed, None)
    assert flags & changed == 0
    assert end is not None
    assert refusal(end).errno == 0


def test_a_refusal_carries_the_kernels_own_words() -> None:
    words = attribute_text(uapi.NLMSGERR_ATTR_MSG, "Nexthop has invalid gateway")
    body = struct.pack("=i", -101) + bytes(16) + words
    error = Message(uapi.NLMSG_ERROR, uapi.NLM_F_ACK_TLVS, 3, body)

    answer = refusal(error)

    assert answer == Refusal(3, 101, "Nexthop has invalid gateway")
    assert str(answer) == "Network is unreachable (Nexthop has invalid gateway)"


def test_a_default_route_has_no_destination() -> None:
    (route,) = read(encode.written(Route(ns="n1", dst=ANYWHERE, dev="eth0"), INDEXES)[0])

    assert route == Route(ns="n1", dst=ANYWHERE, dev="eth0")
