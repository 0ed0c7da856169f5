"""Of every kind of fact a foreign one is found, and one that is missing, by both ways to look."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any, NamedTuple

import pytest

from testbed.kernel.namespaces.enter import entered
from testbed.kernel.namespaces.store import LocalStore
from testbed.kernel.netlink.encode import written
from testbed.kernel.netlink.socket import NetlinkSocket
from testbed.kernel.programs.run import run
from testbed.kernel.read.differences import drift
from testbed.kernel.read.expected import Expected, by_kind
from testbed.kernel.read.namespace import read_each
from testbed.kernel.read.observe import observe
from testbed.kernel.write.apply import apply
from testbed.net.drift.diff import compare, connected_routes
from testbed.net.facts import (
    ANYWHERE,
    Address,
    Bridge,
    BridgePort,
    Chain,
    ChainRule,
    Fact,
    Fdb,
    Foreign,
    Neighbour,
    Netns,
    NftChain,
    NftElement,
    NftSet,
    Route,
    Rule,
    State,
    Sysctl,
    Veth,
)
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.kernel

POD_NET, GATEWAY = IPv4Network("10.0.1.5/32"), IPv4Address("10.0.1.1")
POD_MAC, VPC_MAC, BRIDGE_MAC = (f"02:00:00:00:00:0{number}" for number in (1, 2, 3))
TABLE: dict[str, Any] = {"ns": "vpc", "family": "bridge", "table": "vpc"}
HOOK = "type filter hook prerouting priority filter; policy accept;"

POD: State = frozenset(
    {
        Netns(ns="pod"),
        Veth(ns="pod", name="eth0", peer_ns="vpc", peer="p0", mac=POD_MAC, mtu=9001),
        Address(ns="pod", dev="eth0", ip=IPv4Interface("10.0.1.5/24")),
        Neighbour(ns="pod", dev="eth0", ip=GATEWAY, mac=BRIDGE_MAC),
        Route(ns="pod", dst=ANYWHERE, via=GATEWAY, dev="eth0", src=IPv4Address("10.0.1.5")),
        Route(ns="pod", dst=ANYWHERE, via=GATEWAY, dev="eth0", table=1000, metric=7, mtu=1400),
        Route(ns="pod", dst=IPv4Network("10.9.0.0/16"), kind="blackhole", protocol="static"),
        Rule(ns="pod", priority=512, dst=POD_NET, table=254),
        Rule(ns="pod", priority=1024, fwmark=0x80, fwmask=0x80, table=254),
        Rule(ns="pod", priority=1536, src=POD_NET, iif="eth0", table=1000),
        Sysctl(ns="pod", name="net.ipv4.ip_forward", value="1"),
        Sysctl(ns="pod", name="net.ipv4.conf.eth0.rp_filter", value="2"),
        Chain(ns="pod", table="nat", name="KUBE-SVC", rules=(ChainRule("-j RETURN"),)),
    }
)
VPC: State = frozenset(
    {
        Netns(ns="vpc"),
        Bridge(ns="vpc", name="private", mac=BRIDGE_MAC, mtu=9001),
        Veth(ns="vpc", name="p0", peer_ns="pod", peer="eth0", mac=VPC_MAC, mtu=9001),
        BridgePort(ns="vpc", dev="p0", bridge="private", learning=False),
        Fdb(ns="vpc", dev="p0", mac=POD_MAC),
        Address(ns="vpc", dev="private", ip=IPv4Interface("10.0.1.1/32")),
        Neighbour(ns="vpc", dev="private", ip=IPv4Address("10.0.1.5"), mac=POD_MAC),
        Route(ns="vpc", dst=POD_NET, via=IPv4Address("10.0.1.5"), dev="private", onlink=True),
        NftSet(**TABLE, name="known", key_type="ipv4_addr"),
        NftElement(**TABLE, set="known", element="10.0.1.5"),
        NftChain(**TABLE, name="in", hook=HOOK, rules=(ChainRule("ip saddr @known accept"),)),
    }
)
LAB = POD | VPC
SYSCTLS = [fact for fact in LAB if isinstance(fact, Sysctl)]


class Damage(NamedTuple):
    """What is done to the lab, and what `verify` is to say of it."""

    ns: str
    command: str
    missing: tuple[type[Fact], ...] = ()
    extra: tuple[type[Fact], ...] = ()
    changed: tuple[type[Fact], ...] = ()


DAMAGES = [
    Damage("pod", "ip link set lo down", changed=(Netns,)),
    Damage("pod", "ip link add stranger type veth peer name other", extra=(Veth, Veth)),
    Damage("vpc", "ip link set p0 mtu 1400", changed=(Veth,)),
    Damage("vpc", "ip link set p0 address 02:00:00:00:00:09", changed=(Veth,)),
    Damage("vpc", "ip link add more type bridge", extra=(Bridge,)),
    Damage("vpc", "ip link set private promisc on", changed=(Bridge,)),
    Damage("vpc", "ip link set p0 nomaster", missing=(BridgePort, Fdb)),
    Damage("vpc", "bridge link set dev p0 learning on", changed=(BridgePort,)),
    Damage("vpc", "bridge fdb add 02:00:00:00:00:09 dev p0 master static", extra=(Fdb,)),
    Damage("vpc", f"bridge fdb del {POD_MAC} dev p0 master", missing=(Fdb,)),
    Damage("pod", "ip address add 10.0.9.9/32 dev eth0", extra=(Address,)),
    Damage("pod", "ip address add 10.0.9.9/24 dev eth0", extra=(Address, Route)),
    Damage("vpc", "ip address del 10.0.1.1/32 dev private", missing=(Address, Neighbour, Route)),
    Damage("pod", "ip route del 10.0.1.0/24", missing=(Route,), changed=(Address,)),
    Damage("pod", f"ip neighbour add 10.0.1.9 lladdr {VPC_MAC} dev eth0", extra=(Neighbour,)),
    Damage("pod", f"ip neighbour del {GATEWAY} dev eth0", missing=(Neighbour,)),
    Damage(
        "pod", f"ip neighbour change {GATEWAY} lladdr {VPC_MAC} dev eth0", (), (), (Neighbour,)
    ),
    Damage("vpc", "ip neighbour change 10.0.1.5 nud stale dev private", missing=(Neighbour,)),
    Damage("pod", "ip route add 10.8.0.0/16 dev eth0", extra=(Route,)),
    Damage("pod", "ip route add throw 10.8.0.0/16 table 77", extra=(Route,)),
    Damage("pod", "ip route del default table 1000", missing=(Route,)),
    Damage("pod", "ip route change default via 10.0.1.1 dev eth0", changed=(Route,)),
    Damage("vpc", "ip route change 10.0.1.5 dev private", changed=(Route,)),
    Damage("pod", "ip route add 10.8.0.0/16 via 10.0.1.1 window 9", extra=(Foreign,)),
    Damage("pod", "ip rule add priority 600 lookup 77", extra=(Rule,)),
    Damage("pod", "ip rule add priority 600 ipproto tcp lookup 77", extra=(Foreign,)),
    Damage("pod", "ip rule del priority 1024", missing=(Rule,)),
    Damage("vpc", "ip rule del priority 32767", missing=(Rule,)),
    Damage("pod", "sysctl -q net.ipv4.ip_forward=0", changed=(Sysctl,)),
    Damage("pod", "sysctl -q net.ipv4.conf.eth0.rp_filter=1", changed=(Sysctl,)),
    Damage("pod", "iptables-nft -t nat -A KUBE-SVC -j ACCEPT", changed=(Chain,)),
    Damage("pod", "iptables-nft -t nat -N KUBE-SEP", extra=(Chain,)),
    Damage("pod", "iptables-nft -t nat -F KUBE-SVC", changed=(Chain,)),
    Damage("vpc", "nft add set bridge vpc more { type ether_addr; }", extra=(NftSet,)),
    Damage("vpc", "nft add element bridge vpc known { 10.0.1.9 }", extra=(NftElement,)),
    Damage("vpc", "nft delete element bridge vpc known { 10.0.1.5 }", missing=(NftElement,)),
    Damage("vpc", "nft add chain bridge vpc more", extra=(NftChain,)),
    Damage("vpc", "nft flush chain bridge vpc in", changed=(NftChain,)),
    Damage("vpc", "nft delete table bridge vpc", missing=(NftSet, NftElement, NftChain)),
]


@pytest.fixture
def store() -> Iterator[LocalStore]:
    with LocalStore() as made:
        apply(made, LAB)
        yield made


def kinds(facts: Iterable[Fact]) -> list[str]:
    return sorted(type(fact).__name__ for fact in facts)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: f"{damage.ns}: {damage.command}")
def test_what_is_too_much_and_what_is_missing_is_found(store: LocalStore, damage: Damage) -> None:
    with entered(store.open(damage.ns)):
        done = run(damage.command.split(), timeout_s=PATIENCE_S)
    assert done.returncode == 0, done.stderr

    found = drift(store, LAB)

    expected = [sorted(kind.__name__ for kind in some) for some in damage[2:]]
    assert [
        kinds(found.missing),
        kinds(found.extra),
        kinds(change.wanted for change in found.changed),
    ] == expected
    assert compare(LAB, observe(store, sysctls=SYSCTLS).state) == found
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("testbed.kernel.read.namespace.MANY_ELEMENTS", 1)
        assert drift(store, LAB) == found


def test_a_rule_that_is_there_twice_is_found_though_another_one_is_missing(
    store: LocalStore,
) -> None:
    """There are as many rules as planned, and none of another kind."""
    twice = Rule(ns="pod", priority=512, dst=POD_NET, table=254)
    with entered(store.open("pod")), NetlinkSocket() as kernel:
        assert not kernel.send(written(twice, {}))
        done = run(["ip", "rule", "del", "priority", "1024"], timeout_s=PATIENCE_S)
    assert done.returncode == 0, done.stderr

    found = drift(store, LAB)

    assert found.extra == {replace(twice, copy=1)}
    assert kinds(found.missing) == ["Rule"]


def test_what_is_as_planned_is_known_without_being_decoded(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its bytes: if this kernel's dumps put them otherwise, `verify` takes twice as long."""
    monkeypatch.setattr("testbed.kernel.read.namespace.MANY_ELEMENTS", 1)
    expected = Expected.of(by_kind([*LAB, *connected_routes(LAB)]), whole=True)

    read = read_each(store, [["pod", "vpc"]], expected)

    assert NftElement in read[1].as_planned
    for space in read:
        assert space.as_planned >= {Address, Route, Rule, Neighbour, Sysctl}
        assert not {type(fact) for fact in space.facts} & space.as_planned
