"""What is predicted of a packet is what becomes of a real one: the kernel is the oracle."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import NamedTuple

import pytest

from testbed.bed import Bed
from testbed.bed import bed as bring_up
from testbed.errors import TestbedError
from testbed.explain.compare import difference
from testbed.explain.reachability import question
from testbed.explain.walk.predict import predict
from testbed.explain.walk.world import World
from testbed.lab import load_balancers
from testbed.load import load
from testbed.net.facts import (
    Address,
    BridgePort,
    Chain,
    Fact,
    Fdb,
    Neighbour,
    NftElement,
    Route,
    Rule,
    State,
    Sysctl,
)
from testbed.plan import endpoints, served
from testbed.probes.asked.present import Present
from testbed.probes.observe.observer import Observer
from testbed.vpc.naming import INTERNET

pytestmark = pytest.mark.kernel

TOPOLOGIES = Path(__file__).parents[3] / "topologies"
LARGEST = 20  # namespaces of a lab whose pairs are all asked
SILENCE_S = 0.3


class Asked(NamedTuple):
    """A packet: from a namespace to a name or an address."""

    source: str
    destination: str
    protocol: str
    port: int = 0
    size: int = 0

    def __str__(self) -> str:
        what = f"{self.protocol} {self.port or ''} {self.size or ''}"
        return f"{self.source} to {self.destination} by {what}".strip()


def all_pairs(lab: Bed) -> list[Asked]:
    """Every pod to every other one, by ICMP and by TCP where it serves that."""
    pods = endpoints(lab.lab, lab.allocations)
    return [
        Asked(source.netns, to.name, protocol, to.port(protocol) or 0)
        for source, to in permutations(pods, 2)
        if source.netns != to.netns
        for protocol in ("icmp", "tcp")
        if to.port(protocol) is not None
    ]


# A step around each MTU: 1446 by VPN, 1500 to sites and outside, 8500 between regions; and small
# data, which the servers of port 7 acknowledge and then answer
LARGE = (
    ("icmp", 0, 1447),
    ("icmp", 0, 8501),
    ("udp", 7, 1501),
    ("tcp", 80, 9001),
    ("tcp", 7, 300),
)


def large(lab: Bed) -> list[Asked]:
    """Packets that one network or another does not carry, by every third pair."""
    places = [one.netns for one in endpoints(lab.lab, lab.allocations)]
    pairs = list(permutations(dict.fromkeys(places), 2))[::3]
    return [Asked(one, other, *packet) for one, other in pairs for packet in LARGE]


def beyond(lab: Bed) -> list[Asked]:
    """From each pod to the internet, to every Service, its node ports and its load balancers."""
    pods = [one.netns for one in endpoints(lab.lab, lab.allocations)]
    nodes = [node.name for cluster in lab.lab.clusters for node in cluster.nodes]
    called = [("203.0.113.10", 80)]
    for given in lab.allocations.services:
        called += [(str(given.cluster_ip), port) for port in given.ports if given.cluster_ip]
        called += [(node, port) for node in nodes for port in given.node_ports]
    balancers = {one.netns for _, one in load_balancers(lab.lab)}
    called += [(str(one.primary), 80) for one in lab.allocations.enis if one.instance in balancers]
    return [
        Asked(pod, destination, "tcp", port)
        for destination, port in called
        for pod in pods
        if pod != destination
    ]


def from_outside(lab: Bed) -> list[Asked]:
    """From the internet to every public address: load balancers, nodes, gateways."""
    public = [str(eni.public_ip) for eni in lab.allocations.enis if eni.public_ip]
    return [Asked(INTERNET, address, "tcp", 80) for address in public]


def disagreements(
    lab: Bed, observer: Observer, world: World, packets: list[Asked], watched: Collection[str]
) -> list[str]:
    """Where prediction and observation differ, or witnesses contradict each other."""
    listeners = served(lab.lab, lab.allocations)
    found = []
    for one in packets:
        own = lab.address(one.source)
        header = question(one.protocol, own, lab.address(one.destination), one.port, one.size)
        seen = observer.observe(lab.state, watched, one.source, header, timeout_s=SILENCE_S)
        if seen.segment:  # what both ends have learnt of the way, no fact tells
            header = replace(header, size=min(header.size, seen.segment))
        branches = predict(world, one.source, header, listeners)
        unlike = difference(branches, seen.round_trip)
        if unlike or seen.contradictions:
            found.append(f"{one}: {unlike} {seen.contradictions}")
    return found


@pytest.mark.parametrize("file", sorted(TOPOLOGIES.glob("*.yaml")), ids=lambda file: file.stem)
def test_every_pair_of_every_topology_goes_as_predicted(file: Path) -> None:
    """All of two protocols; the internet and Services besides, each branch of a random choice."""
    with bring_up(load(file)) as lab, Observer(lab.store) as observer:
        names = lab.store.names()
        if len(names) > LARGEST:
            pytest.skip(f"{len(names)} namespaces are more than {LARGEST}")
        packets = [*all_pairs(lab), *beyond(lab), *from_outside(lab)]

        found = disagreements(lab, observer, World.planned(lab.state), packets, names)

        assert packets
        assert found == []


@pytest.mark.parametrize("name", ["hybrid", "peering", "transit"])
def test_packets_of_any_size_go_as_predicted(name: str) -> None:
    with bring_up(load(TOPOLOGIES / f"{name}.yaml")) as lab, Observer(lab.store) as observer:
        names, planned = lab.store.names(), World.planned(lab.state)

        assert disagreements(lab, observer, planned, large(lab), names) == []


# What is taken away, one fact a time: of each kind the n-th in the order of their texts.  What
# cannot be taken away alone (an address that a route's gateway needs) the kernel refuses.
KINDS: tuple[type[Fact], ...] = (
    Address,
    BridgePort,
    Chain,
    Fdb,
    Neighbour,
    NftElement,
    Route,
    Rule,
    Sysctl,
)
FLIPPED = {"0": "1", "1": "0", "2": "1"}


def losses(state: State) -> Iterator[tuple[str, State]]:
    """States that lack one fact, or a rule of one, or have one setting turned."""
    for kind in KINDS:
        facts = sorted((fact for fact in state if is_lost_at_once(fact, kind, state)), key=repr)
        for fact in facts[:: max(1, len(facts) // 3)]:
            yield f"without {fact}", state - {fact} | {*changed(fact)}


def is_lost_at_once(fact: Fact, kind: type[Fact], state: State) -> bool:
    """Whether a fact is of this kind.  A bridge's last port is none: until its links are watched
    next (linkwatch, up to a second later) the bridge keeps its carrier.
    """
    if not isinstance(fact, kind) or not isinstance(fact, BridgePort):
        return isinstance(fact, kind)
    ports = [one for one in state if isinstance(one, BridgePort) and one.ns == fact.ns]
    return sum(one.bridge == fact.bridge for one in ports) > 1


def changed(fact: Fact) -> Iterator[Fact]:
    """What stands in the place of a fact that is changed and not taken away."""
    if isinstance(fact, Chain) and fact.rules:
        middle = len(fact.rules) // 2
        yield replace(fact, rules=fact.rules[:middle] + fact.rules[middle + 1 :])
    if isinstance(fact, Sysctl):
        yield replace(fact, value=FLIPPED.get(fact.value, fact.value))


@contextmanager
def changed_to(lab: Bed, state: State) -> Iterator[World | None]:
    """The lab in another state, as it then is; None where the kernel refuses that state."""
    try:
        lab.change(state)
        yield Present(lab.store, lab.state)
    except TestbedError:
        yield None
    finally:
        lab.change(lab.state)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["eks", "kops"])
def test_a_lab_that_lacks_something_goes_as_predicted_too(name: str) -> None:
    """Whatever is lost, prediction and kernel name the same place, rule and reason."""
    with bring_up(load(TOPOLOGIES / f"{name}.yaml")) as lab, Observer(lab.store) as observer:
        packets, names, found = [*all_pairs(lab)[::17], beyond(lab)[0]], lab.store.names(), []
        for what, state in losses(lab.state):
            with changed_to(lab, state) as now:
                if now is not None:
                    some = disagreements(lab, observer, now, packets[:3], names)
                    found += [f"{what}: {one}" for one in some]
            packets = [*packets[3:], *packets[:3]]

        assert found == []
        assert not lab.drift()
