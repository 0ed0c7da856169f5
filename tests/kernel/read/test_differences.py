"""What differs is found by several processors as it is by one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.allocations import Allocations, allocate
from testbed.kernel.namespaces.enter import entered
from testbed.kernel.namespaces.store import LocalStore
from testbed.kernel.programs.run import run
from testbed.kernel.read import differences
from testbed.kernel.read.differences import MOST_TOGETHER, drift, observed, together
from testbed.kernel.read.expected import by_kind
from testbed.kernel.read.observe import observe
from testbed.kernel.write.apply import apply
from testbed.load import load
from testbed.net.drift.diff import Drift, compare
from testbed.net.facts import Netns, State, Sysctl, Veth
from testbed.plan import plan
from tests.waiting import PATIENCE_S, wait_until

pytestmark = pytest.mark.kernel

TOPOLOGY = Path(__file__).parents[3] / "topologies" / "eks.yaml"

PORT = "{port}"  # of node-1's first network interface, in its VPC
DAMAGE = {
    "a neighbour too many": ("web-0", "ip neigh add 169.254.1.9 lladdr 2:0:0:0:0:9 dev eth0"),
    "another MTU": ("web-0", "ip link set eth0 mtu 1400"),
    "a link too many": ("web-1", "ip link add stranger type veth peer name other"),
    "a port that left its bridge": ("vpc-main", f"ip link set {PORT} nomaster"),
    "an ENI that is gone": ("node-1", "ip link del eth0"),
    "a sysctl": ("node-1", "sysctl -q net.ipv4.ip_forward=0"),
    "a rule of kube-proxy's": ("node-1", "iptables-nft -t nat -D KUBE-SERVICES 1"),
    "the VPC's own rules": ("vpc-main", "nft flush ruleset"),
}


@pytest.fixture(scope="module")
def wanted() -> State:
    lab = load(TOPOLOGY)
    return plan(lab, allocate(lab, Allocations()))


@pytest.fixture
def store(wanted: State) -> Iterator[LocalStore]:
    with LocalStore() as made:
        apply(made, wanted)
        yield made


def both(store: LocalStore, wanted: State) -> Drift:
    """What both ways find: in a small lab, and in a large one."""
    alone = drift(store, wanted)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(differences, "MANY", 0)
        assert drift(store, wanted) == alone
    sysctls = [fact for fact in wanted if isinstance(fact, Sysctl)]
    alike = observe(store, sysctls=sysctls)
    assert observed(store, wanted) == alike
    assert compare(wanted, alike.state) == alone
    return alone


def test_nothing_differs_from_what_was_written(store: LocalStore, wanted: State) -> None:
    assert both(store, wanted) == Drift()


@pytest.mark.parametrize(("ns", "command"), DAMAGE.values(), ids=DAMAGE)
def test_damage_is_found(store: LocalStore, wanted: State, ns: str, command: str) -> None:
    [port] = (
        f.peer for f in wanted if isinstance(f, Veth) and (f.ns, f.name) == ("node-1", "eth0")
    )
    with entered(store.open(ns)):
        done = run(command.format(port=port).split(), timeout_s=PATIENCE_S)

    assert done.returncode == 0, done.stderr
    assert both(store, wanted)


def test_a_namespace_that_is_gone_is_missing_with_all_it_had(
    store: LocalStore, wanted: State
) -> None:
    [end] = (fact for fact in wanted if isinstance(fact, Veth) and fact.peer_ns == "web-0")
    store.drop(["web-0"])
    wait_until(lambda: end.name not in _devices(store, end.ns))  # the kernel gets there by itself

    found = both(store, wanted)

    assert Netns(ns="web-0") in found.missing
    assert {fact for fact in wanted if fact.ns == "web-0"} <= found.missing


def _devices(store: LocalStore, ns: str) -> frozenset[str]:
    return frozenset(name for of, name in observe(store, [ns]).indexes if of == ns)


def test_pods_are_read_with_their_node() -> None:
    """Then hardly a link has its two ends in different hands."""
    pairs = [("pod-1", "node-1"), ("pod-2", "node-1"), ("node-1", "vpc"), ("node-2", "vpc")]
    veths = [
        Veth(ns=ns, name=peer, peer_ns=peer, peer=ns, mac="02:00:00:00:00:01", mtu=9001)
        for pair in pairs
        for ns, peer in (pair, pair[::-1])
    ]

    groups = together(by_kind(veths), {"internet", *(veth.ns for veth in veths)})

    assert groups == [["internet"], ["node-1", "pod-1", "pod-2"], ["node-2", "vpc"]]


def test_very_many_pods_of_one_node_are_read_in_several_groups() -> None:
    """Else one processor would have them all, and as many sockets open."""
    pods = [f"pod-{number}" for number in range(1000)]
    veths = [
        Veth(ns=ns, name=peer, peer_ns=peer, peer=ns, mac="02:00:00:00:00:01", mtu=9001)
        for pod in pods
        for ns, peer in ((pod, "node"), ("node", pod))
    ]

    groups = together(by_kind(veths), {veth.ns for veth in veths})

    assert sorted(ns for group in groups for ns in group) == sorted(["node", *pods])
    assert max(map(len, groups)) == MOST_TOGETHER
