"""The numbers of devices: low where there are thousands, and enough to tell a veth's peer."""

from testbed.kernel.netlink.batch import Numbers, numbered
from testbed.kernel.netlink.encode_links import ETH0_INDEX
from testbed.net.drift.changes import changes
from testbed.net.facts import Netns, State, Veth

Pair = tuple[tuple[str, str], tuple[str, str]]

ON_NODE: tuple[Pair, ...] = (
    (("pod-a", "eth0"), ("node", "eni-a")),
    (("pod-b", "eth0"), ("node", "eni-b")),
)
ALONE: Pair = ("host-a", "eth0"), ("host-b", "eth0")


def lab(*pairs: Pair) -> State:
    """Namespaces and the veths between them."""
    ends = [*pairs, *((far, near) for near, far in pairs)]
    return frozenset(
        fact
        for (ns, name), (peer_ns, peer) in ends
        for fact in (
            Netns(ns=ns),
            Veth(ns=ns, name=name, peer_ns=peer_ns, peer=peer, mac="", mtu=9001),
        )
    )


def of(numbers: Numbers, pairs: tuple[Pair, ...]) -> list[tuple[int, int]]:
    return [(numbers[near], numbers[far]) for near, far in pairs]


def test_a_pods_device_has_the_number_of_a_real_ones() -> None:
    """`eni8c1f…@if3` on EKS, `veth0ae6…@if3` on kops.

    And the kernel's tree of devices has 64 numbers a node; 3,000 pods would take two more each.
    """
    numbers = numbered({}, changes(lab(*ON_NODE), frozenset()), ETH0_INDEX)

    assert of(numbers, ON_NODE) == [(ETH0_INDEX, ETH0_INDEX + 1), (ETH0_INDEX, ETH0_INDEX + 2)]


def test_of_a_pair_between_two_leaves_one_is_told_by_its_number() -> None:
    """Else two such pairs would have equal numbers, and nobody could tell which are peers."""
    numbers = numbered({}, changes(lab(*ON_NODE, ALONE), frozenset()), ETH0_INDEX)

    pairs = of(numbers, (*ON_NODE, ALONE))
    unique = [number for pair in pairs for number in pair if number != ETH0_INDEX]
    assert len(set(unique)) == len(unique) == len(pairs)


def test_a_pod_more_takes_a_number_of_nobody_on_its_node() -> None:
    """Those that are there keep theirs, and a link more of a pod is told by its number, too."""
    before = numbered({}, changes(lab(*ON_NODE), frozenset()), ETH0_INDEX)
    more: tuple[Pair, ...] = (
        (("pod-c", "eth0"), ("node", "eni-c")),
        (("pod-a", "eth1"), ("node", "eni-d")),
    )

    after = numbered(before, changes(lab(*ON_NODE, *more), lab(*ON_NODE)), ETH0_INDEX)

    assert of(after, ON_NODE) == of(before, ON_NODE)
    assert after["pod-c", "eth0"] == ETH0_INDEX
    others = (("node", "eni-c"), ("node", "eni-d"), ("pod-a", "eth1"))
    assert len({after[name] for name in others} | {*before.values()}) == 3 + len(
        {*before.values()}
    )
