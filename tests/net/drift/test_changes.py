"""What is removed and written to get from one state to another, and in which order."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from testbed.net.drift.changes import Changes, changes
from testbed.net.drift.diff import implied
from testbed.net.drift.order import removing_order, writing_order
from testbed.net.facts import (
    ANYWHERE,
    Address,
    Bridge,
    BridgePort,
    Chain,
    Fact,
    Fdb,
    Neighbour,
    Netns,
    Route,
    Rule,
    State,
    Sysctl,
    Veth,
)

POD = Netns(ns="pod")
NODE = Netns(ns="n1")
POD_END = Veth(ns="pod", name="eth0", peer_ns="n1", peer="eni1", mac="02:00:00:00:00:01", mtu=9001)
NODE_END = Veth(
    ns="n1", name="eni1", peer_ns="pod", peer="eth0", mac="02:00:00:00:00:02", mtu=9001
)
POD_ADDRESS = Address(ns="pod", dev="eth0", ip=IPv4Interface("10.0.1.5/32"))
TO_GATEWAY = Route(ns="pod", dst=IPv4Network("169.254.1.1/32"), dev="eth0", scope="link")
DEFAULT = Route(ns="pod", dst=ANYWHERE, dev="eth0", via=IPv4Address("169.254.1.1"))
GATEWAY = Neighbour(ns="pod", dev="eth0", ip=IPv4Address("169.254.1.1"), mac="02:00:00:00:00:02")
TO_POD = Route(ns="n1", dst=IPv4Network("10.0.1.5/32"), dev="eni1", scope="link")
FROM_POD = Rule(ns="n1", priority=1536, src=IPv4Network("10.0.1.5/32"), table=2)
LAB: State = frozenset(
    {
        POD,
        NODE,
        POD_END,
        NODE_END,
        POD_ADDRESS,
        TO_GATEWAY,
        DEFAULT,
        GATEWAY,
        TO_POD,
        FROM_POD,
    }
)


def up(state: State) -> State:
    """The state as it is found once it was applied."""
    return state | implied(state)


def test_a_new_lab_is_written_from_its_namespaces_up() -> None:
    """The kernel refuses a route to a gateway it cannot reach yet."""
    todo = changes(LAB, frozenset())

    assert todo.created == {"pod", "n1"}
    assert todo.new_links == {("pod", "eth0"), ("n1", "eni1")}
    assert todo.written["pod"] == [POD, POD_END, POD_ADDRESS, TO_GATEWAY, DEFAULT, GATEWAY]
    assert todo.written["n1"] == [NODE, NODE_END, TO_POD, FROM_POD]
    assert not todo.removed


def test_a_new_lab_is_written_as_beside_one_that_goes() -> None:
    """Nothing is compared for a new lab; what is written must be the same."""
    chain = Chain(ns="n1", table="filter", name="FORWARD", policy="DROP")
    other: State = frozenset({Netns(ns="other")})

    beside = changes(LAB | {chain}, other)

    new = changes(LAB | {chain}, frozenset())
    assert new == replace(beside, dropped=frozenset())
    assert new.refiltered == {"n1"}


def test_nothing_is_done_when_nothing_differs() -> None:
    assert changes(LAB, up(LAB)) == Changes()


def test_a_pod_that_goes_takes_its_link_along_and_leaves_no_route_or_rule() -> None:
    """Deleting the link would take the kernel 20 ms; its namespace's end is enough."""
    without_pod: State = frozenset({NODE})

    todo = changes(without_pod, up(LAB))

    assert todo.dropped == {"pod"}
    assert todo.removed == {"n1": [FROM_POD, TO_POD]}
    assert not todo.written


def test_a_link_that_goes_alone_is_removed_and_what_stood_on_it_is_not_mentioned() -> None:
    todo = changes(frozenset({POD, NODE}), up(LAB))

    removed = [fact for facts in todo.removed.values() for fact in facts]
    assert set(removed) == {POD_END, NODE_END, FROM_POD}


def test_a_veth_with_another_peer_is_made_anew_with_everything_on_it() -> None:
    """The node's end was renamed: to the kernel that is one end of the same pair."""
    renamed = Veth(ns="n1", name="x", peer_ns="pod", peer="eth0", mac=NODE_END.mac, mtu=9001)
    astray = Veth(ns="pod", name="eth0", peer_ns="n1", peer="x", mac=POD_END.mac, mtu=9001)
    found = up(LAB) - {POD_END, NODE_END, TO_POD} | {renamed, astray}

    todo = changes(LAB, found)

    assert {fact for facts in todo.removed.values() for fact in facts} == {renamed, astray}
    assert todo.new_links == {("pod", "eth0"), ("n1", "eni1")}
    assert todo.written["pod"] == [POD_END, POD_ADDRESS, TO_GATEWAY, DEFAULT, GATEWAY]
    assert todo.written["n1"] == [NODE_END, TO_POD]


def test_a_changed_mtu_is_written_alone_a_changed_mac_with_what_it_flushes() -> None:
    """Linux forgets all neighbours of a device whose MAC is set (`neigh_changeaddr`)."""
    other_mtu = up(LAB) - {POD_END} | {
        Veth(ns="pod", name="eth0", peer_ns="n1", peer="eni1", mac=POD_END.mac, mtu=1500)
    }
    other_mac = up(LAB) - {POD_END} | {
        Veth(ns="pod", name="eth0", peer_ns="n1", peer="eni1", mac="02:00:00:00:00:09", mtu=9001)
    }

    assert changes(LAB, other_mtu).written == {"pod": [POD_END]}
    assert GATEWAY in changes(LAB, other_mac).written["pod"]
    assert not changes(LAB, other_mac).new_links


def test_with_an_address_the_kernel_flushes_routes_so_they_are_written_again() -> None:
    stray = Address(ns="pod", dev="eth0", ip=IPv4Interface("10.0.1.77/32"))

    todo = changes(LAB, up(LAB) | {stray})

    assert todo.removed == {"pod": [stray]}
    assert todo.written == {"pod": [POD_ADDRESS, TO_GATEWAY, DEFAULT, GATEWAY]}


def test_a_removed_rule_that_could_mean_a_wanted_one_lets_that_be_written_again() -> None:
    """`ip rule del pref 1536 from 10.0.1.5 lookup 2` removes the first that has all of this."""
    precise = Rule(
        ns="n1",
        priority=1536,
        src=IPv4Network("10.0.1.5/32"),
        dst=IPv4Network("10.0.0.0/16"),
        table=2,
    )
    wanted = LAB - {FROM_POD} | {precise}

    todo = changes(wanted, up(wanted) | {FROM_POD})

    assert todo.removed == {"n1": [precise, FROM_POD]}
    assert todo.written == {"n1": [precise]}


def test_a_bridge_made_anew_gets_its_ports_back() -> None:
    bridge = Bridge(ns="n1", name="br", mac="02:00:00:00:00:05", mtu=9001)
    port = BridgePort(ns="n1", dev="eni1", bridge="br", learning=False)
    entry = Fdb(ns="n1", dev="eni1", mac=POD_END.mac)
    wanted = LAB | {bridge, port, entry}

    todo = changes(wanted, up(wanted) - {bridge})

    assert todo.new_links == {("n1", "br")}
    assert {bridge, port, entry} <= set(todo.written["n1"])
    assert todo.written["n1"].index(bridge) < todo.written["n1"].index(port)


def test_a_device_made_anew_gets_its_sysctls_back() -> None:
    strict = Sysctl(ns="n1", name="net.ipv4.conf.eni1.rp_filter", value="1")
    forward = Sysctl(ns="n1", name="net.ipv4.ip_forward", value="1")
    wanted = LAB | {strict, forward}

    todo = changes(wanted, up(wanted) - {NODE_END, POD_END})

    assert strict in todo.written["n1"]
    assert forward not in todo.written["n1"]


def test_a_wide_sysctl_lets_the_devices_own_ones_be_written_again() -> None:
    """`net.ipv6.conf.all.forwarding=1` sets it on every device, also where 0 is wanted."""
    every = Sysctl(ns="n1", name="net.ipv6.conf.all.forwarding", value="1")
    own = Sysctl(ns="n1", name="net.ipv6.conf.eni1.forwarding", value="0")
    switched_off = Sysctl(ns="n1", name="net.ipv6.conf.all.forwarding", value="0")
    wanted = LAB | {every, own}

    todo = changes(wanted, up(wanted) - {every} | {switched_off})

    assert set(todo.written["n1"]) == {every, own}


def test_rule_sets_are_named_by_namespace_and_are_no_part_of_the_batch() -> None:
    chain = Chain(ns="n1", table="nat", name="AWS-SNAT-CHAIN-0")

    todo = changes(LAB | {chain}, up(LAB))

    assert todo.refiltered == {"n1"}
    assert not todo.written.get("n1")


def test_addresses_go_up_rules_by_priority_and_what_they_name() -> None:
    """`ip rule` prints rules of one priority in the order they came: pod by pod, by address."""
    facts: list[Fact] = [
        Rule(ns="n1", priority=1536, src=IPv4Network("10.0.1.9/32"), table=2),
        Rule(ns="n1", priority=512, dst=IPv4Network("10.0.1.10/32"), table=254),
        Rule(ns="n1", priority=512, dst=IPv4Network("10.0.1.9/32"), table=254),
        Address(ns="n1", dev="eth0", ip=IPv4Interface("10.0.1.10/24")),
        Address(ns="n1", dev="eth0", ip=IPv4Interface("10.0.1.9/24")),
    ]

    assert writing_order(facts) == [facts[4], facts[3], facts[2], facts[1], facts[0]]
    assert removing_order(facts) == writing_order(facts)[::-1]
