"""A namespace's link dump to links, and these to facts, without a kernel."""

import struct
from collections.abc import Sequence
from socket import AF_INET, AF_INET6

from hypothesis import given
from hypothesis import strategies as some

from testbed.kernel.netlink import encode_links, uapi
from testbed.kernel.netlink.decode_links import Peers, link_facts
from testbed.kernel.netlink.links import Link, Links
from testbed.kernel.netlink.wire import (
    attribute,
    attribute_text,
    attribute_u8,
    attribute_u32,
    attributes,
    messages,
)
from testbed.net.facts import Bridge, Foreign, Netns, Veth


def nested(kind: int, *inside: bytes) -> bytes:
    return attribute(kind, b"".join(inside))


def some_u32(kind: int) -> some.SearchStrategy[bytes]:
    return some.sampled_from([attribute_u32(kind, value) for value in (0, 5, 0x10000)])


def some_text(kind: int, *texts: str) -> some.SearchStrategy[bytes]:
    return some.sampled_from([attribute_text(kind, one) for one in texts])


flags = some.sampled_from([0, uapi.IFF_UP, uapi.IFF_PROMISC, 0x10000])
heads = some.builds(
    lambda index, up: struct.pack("=BxHiII", 0, 1, index, up, 0), some.integers(1, 3), flags
)
settings = some.builds(
    lambda kind, family, values: nested(family, nested(kind, values)),
    some.sampled_from([uapi.IFLA_INET_CONF, uapi.IFLA_INET6_CONF]),
    some.sampled_from([AF_INET, AF_INET6]),
    some.sampled_from([b"\0\0\0\0", b"\1\0\0\0", b"\1\0\0\0\0\0\0\0"]),
)
ports = some.builds(attribute_u8, some.integers(uapi.IFLA_BRPORT_MODE, 11), some.integers(0, 1))
infos = some.builds(
    lambda kind, port: nested(uapi.IFLA_LINKINFO, kind, nested(uapi.IFLA_INFO_SLAVE_DATA, port)),
    some_text(uapi.IFLA_INFO_KIND, "veth", "vxln"),
    ports,
)
pieces = [
    some_text(uapi.IFLA_IFNAME, "a", "b", "eth"),
    some_u32(uapi.IFLA_MTU),
    some_u32(uapi.IFLA_LINK),
    some_u32(uapi.IFLA_MASTER),
    some_u32(uapi.IFLA_LINK_NETNSID),
    some_u32(uapi.IFLA_OPERSTATE),
    some_text(uapi.IFLA_QDISC, "htb", "noqueue"),
    some.builds(attribute, some.just(uapi.IFLA_ADDRESS), some.binary(min_size=6, max_size=6)),
    infos,
    some.builds(nested, some.just(uapi.IFLA_AF_SPEC), settings),
]
needed = len([uapi.IFLA_IFNAME, uapi.IFLA_MTU])  # every device has them


@some.composite
def link_bodies(draw: some.DrawFn) -> bytes:
    """Links that differ a little, with some of the attributes in some order."""
    more = draw(some.lists(some.sampled_from(pieces[needed:]), max_size=4, unique=True))
    order = draw(some.permutations([*pieces[:needed], *more]))
    return draw(heads) + b"".join(draw(piece) for piece in order)


def test_a_name_is_read_whole_after_a_shorter_one_that_fills_as_many_bytes() -> None:
    """Attributes are padded to four bytes: of both names the messages are equally long."""
    links = Links()
    head, rest = struct.pack("=BxHiII", 0, 1, 5, 0, 0), attribute_u32(uapi.IFLA_MTU, 1500)
    names = ["pcx-pcx", "pcx-p", "pcx-pcx", "pcx-q", "pcx-qcx"]

    bodies = [head + attribute_text(uapi.IFLA_IFNAME, name) + rest for name in names]

    assert len({*map(len, bodies)}) == 1, "premise"
    assert [links.link("n1", body).name for body in bodies] == names


@given(some.lists(link_bodies(), max_size=8))
def test_a_link_is_read_the_same_whatever_links_were_met_before(bodies: Sequence[bytes]) -> None:
    """What is alike in many is decoded once, and nothing else may be taken for alike."""
    links = Links()

    assert [links.link("n1", body) for body in bodies] == [
        Links().link("n1", body) for body in bodies
    ]


def link_dump(body: bytes, *extra: bytes) -> bytes:
    """A link request as the kernel would dump the link that it makes."""
    return body + b"".join(extra)


def test_both_ends_of_a_veth_are_found_by_each_others_numbers() -> None:
    near = Veth(
        ns="pod", name="eth0", peer_ns="n1", peer="eni1", mac="02:00:00:00:00:01", mtu=9001
    )
    far = Veth(ns="n1", name="eni1", peer_ns="pod", peer="eth0", mac="02:00:00:00:00:02", mtu=1500)
    request = next(messages(encode_links.new_veth(near, far, 5, 9, far_netns=3))).body
    info = attributes(attributes(request, 16)[uapi.IFLA_LINKINFO])
    peer = attributes(info[uapi.IFLA_INFO_DATA])[uapi.VETH_INFO_PEER]
    elsewhere = attribute_u32(uapi.IFLA_LINK_NETNSID, 0)
    veth = attribute(uapi.IFLA_LINKINFO, attribute_text(uapi.IFLA_INFO_KIND, "veth"))

    first = Links().link("pod", link_dump(request, attribute_u32(uapi.IFLA_LINK, 9), elsewhere))
    second = Links().link("n1", link_dump(peer, veth, attribute_u32(uapi.IFLA_LINK, 5), elsewhere))

    assert (first.ifindex, second.ifindex) == (5, 9)
    peers = Peers([first, second])
    assert list(link_facts([first], peers)) == [near]
    down = Veth(ns="n1", name="eni1", peer_ns="pod", peer="eth0", mac=far.mac, mtu=1500, up=False)
    assert list(link_facts([second], peers)) == [down]  # its own namespace sets it up
    assert attributes(peer, 16)[uapi.IFLA_NET_NS_FD] == struct.pack("=I", 3)


def test_a_veth_whose_peer_is_nowhere_is_no_fact() -> None:
    """Its peer's namespace was dropped; the kernel is about to take it away."""
    orphan = Link(ns="n1", ifindex=9, name="eni1", up=True, kind="veth", peer_ifindex=5, master=3)
    bridge = Link(ns="n1", ifindex=3, name="br", up=True, kind="bridge", mac="02:00:00:00:00:09")

    facts = list(link_facts([orphan, bridge], Peers([orphan, bridge])))

    assert facts == [Bridge(ns="n1", name="br", mac="02:00:00:00:00:09", mtu=0)]


def test_equal_numbers_elsewhere_do_not_make_two_links_peers() -> None:
    """A user's own veth has numbers of the kernel's choice, used in other namespaces too."""
    eth0 = Link(ns="pod", ifindex=5, name="eth0", up=True, kind="veth", peer_ifindex=9)
    other = Link(ns="a", ifindex=9, name="x", up=True, kind="veth", peer_ifindex=8)
    right = Link(ns="pod", ifindex=9, name="y", up=True, kind="veth", peer_ifindex=5)

    assert Peers([eth0, other, right]).of(eth0) is right


def test_a_links_other_kinds_are_its_namespace_a_bridge_or_foreign() -> None:
    found = [
        Link(ns="n1", ifindex=1, name="lo", up=False),
        Link(ns="n1", ifindex=2, name="tunl0", up=False, kind="ipip"),
        Link(
            ns="n1",
            ifindex=3,
            name="br",
            up=True,
            kind="bridge",
            mac="02:00:00:00:00:09",
            mtu=9001,
        ),
        Link(ns="n1", ifindex=4, name="vx", up=True, kind="vxlan"),
    ]

    facts = list(link_facts(found, Peers(found)))

    assert facts[:2] == [
        Netns(ns="n1", up=False),
        Bridge(ns="n1", name="br", mac="02:00:00:00:00:09", mtu=9001),
    ]
    assert [fact.text for fact in facts[2:] if isinstance(fact, Foreign)] == ["vxlan vx"]
