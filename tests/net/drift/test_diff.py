"""What differs between wanted and found facts, and what the kernel adds by itself."""

from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from testbed.net.drift.diff import Change, Drift, compare, implied
from testbed.net.facts import Address, Netns, Route, Rule, State, Veth

ETH0 = Veth(ns="n1", name="eth0", peer_ns="vpc", peer="n1-e0", mac="02:00:00:00:00:01", mtu=9001)
FOUND_RULES: State = frozenset(
    {
        Rule(ns="n1", priority=0, table=255),
        Rule(ns="n1", priority=32766, table=254),
        Rule(ns="n1", priority=32767, table=253),
    }
)


def test_a_namespace_implies_the_three_rules_of_every_namespace() -> None:
    assert implied(frozenset({Netns(ns="n1")})) == FOUND_RULES


def test_an_address_implies_the_route_to_its_subnet() -> None:
    """`10.10.0.0/19 dev eth0 proto kernel scope link src 10.10.0.10`."""
    address = Address(ns="n1", dev="eth0", ip=IPv4Interface("10.10.0.10/19"))

    assert implied(frozenset({address})) == {
        Route(
            ns="n1",
            dst=IPv4Network("10.10.0.0/19"),
            dev="eth0",
            src=IPv4Address("10.10.0.10"),
            scope="link",
            protocol="kernel",
        )
    }


def test_of_two_addresses_in_a_subnet_the_lower_is_the_primary_one() -> None:
    """10.0.0.9 is below 10.0.0.10, though not as text."""
    addresses = frozenset(
        Address(ns="n1", dev="eth0", ip=IPv4Interface(ip))
        for ip in ("10.0.0.10/24", "10.0.0.9/24", "10.0.1.1/24")
    )

    sources = {str(fact.src) for fact in implied(addresses) if isinstance(fact, Route)}

    assert sources == {"10.0.0.9", "10.0.1.1"}


def test_host_addresses_and_disconnected_ones_imply_nothing() -> None:
    addresses: State = frozenset(
        {
            Address(ns="pod", dev="eth0", ip=IPv4Interface("10.0.0.9/32")),
            Address(ns="n1", dev="eth1", ip=IPv4Interface("10.0.0.8/24"), connected=False),
        }
    )

    assert implied(addresses) == frozenset()


def test_equal_states_have_no_drift_and_what_is_implied_need_not_be_wanted() -> None:
    wanted: State = frozenset({Netns(ns="n1"), ETH0})

    drift = compare(wanted, wanted | FOUND_RULES)

    assert drift == Drift()
    assert not drift


def test_a_removed_default_rule_is_missing() -> None:
    main = Rule(ns="n1", priority=32766, table=254)

    drift = compare(frozenset({Netns(ns="n1")}), FOUND_RULES - {main} | {Netns(ns="n1")})

    assert drift == Drift(missing=frozenset({main}))


def test_another_value_under_the_same_key_is_a_change_and_not_a_loss() -> None:
    small = Veth(ns="n1", name="eth0", peer_ns="vpc", peer="n1-e0", mac=ETH0.mac, mtu=1500)
    stray = Veth(ns="n1", name="eth7", peer_ns="vpc", peer="x", mac=ETH0.mac, mtu=1500)

    drift = compare(frozenset({ETH0}), frozenset({small, stray}))

    assert drift.changed == {Change(found=small, wanted=ETH0)}
    assert drift.extra == {stray}
    assert not drift.missing


def test_why_a_fact_exists_is_no_difference_but_is_kept() -> None:
    """A reader of the drift wants to know what the missing rule was for."""
    wanted = Rule(ns="n1", priority=512, table=254, why="to a pod: its veth")

    assert not compare(frozenset({wanted}), frozenset({Rule(ns="n1", priority=512, table=254)}))
    (missing,) = compare(frozenset({wanted}), frozenset()).missing
    assert missing.why == "to a pod: its veth"


def test_each_of_several_equal_rules_counts() -> None:
    """The kernel accepts equal rules; deleting one of two changes what `ip rule` prints."""
    first = Rule(ns="n1", priority=512, table=254)
    second = Rule(ns="n1", priority=512, table=254, copy=1)

    drift = compare(frozenset({first}), frozenset({first, second}))

    assert drift == Drift(extra=frozenset({second}))
