"""When `apply` returns, packets pass: the kernel finishes links later than it answers."""

import re
import subprocess
from collections.abc import Callable
from dataclasses import replace

import pytest

from testbed.bed import Bed
from testbed.kernel.namespaces.store import LocalStore
from testbed.kernel.write.apply import apply
from testbed.kernel.write.carrier import MANY, Waiting, carrying
from testbed.lab import Lab
from testbed.load import parse
from testbed.net.facts import Bridge, BridgePort, Netns, Veth
from testbed.net.names import mac
from testbed.probes.sockets import inside


def veth(ns: str, peer_ns: str, *, up: bool = True) -> Veth:
    """One end of the pair between two namespaces."""
    return Veth(
        ns=ns, name=f"to-{peer_ns}", peer_ns=peer_ns, peer=f"to-{ns}", mac="", mtu=0, up=up
    )


def test_both_ends_and_the_bridge_above_are_awaited() -> None:
    """Whichever end was written: the other one is the late one."""
    pod, node = veth("pod", "node"), veth("node", "pod")
    bridge = Bridge(ns="node", name="cbr0", mac="", mtu=0)
    port = BridgePort(ns="node", dev="to-pod", bridge="cbr0")

    assert carrying([pod], frozenset({pod, node, bridge, port})) == Waiting(
        ends=frozenset({("pod", "to-node"), ("node", "to-pod")}),
        bridges=frozenset({("node", "cbr0")}),
    )


def test_the_end_that_comes_up_last_is_not() -> None:
    """It finds its peer up: the kernel lets it send at once."""
    pod, node = veth("pod", "node"), veth("node", "pod")
    late = {("node", "to-pod")}

    waiting = carrying([pod, node], frozenset({pod, node}), late.__contains__)

    assert waiting.ends == {("pod", "to-node")}


def test_a_link_whose_peer_is_down_is_not() -> None:
    """It would have no carrier for ever; nor has a bridge without a port."""
    pod, node = veth("pod", "node"), veth("node", "pod", up=False)
    bridge = Bridge(ns="node", name="cbr0", mac="", mtu=0)

    nothing = Waiting(ends=frozenset(), bridges=frozenset())

    assert carrying([pod, bridge], frozenset({pod, node, bridge})) == nothing


def test_the_port_of_a_bridge_is_awaited_whenever_it_comes_up() -> None:
    """A bridge lets nothing in by a port that the queue has not been at."""
    pod, node = veth("pod", "node"), veth("node", "pod")
    port = BridgePort(ns="node", dev="to-pod", bridge="cbr0")
    late = {("node", "to-pod")}

    waiting = carrying([pod, node], frozenset({pod, node, port}), late.__contains__)

    assert waiting.ends == {("pod", "to-node"), ("node", "to-pod")}


@pytest.mark.kernel
def test_all_links_of_a_lab_run_when_it_is_up(bed: Bed) -> None:
    """`state UP`, on each device with a carrier to come."""
    waiting = carrying(bed.state, bed.state)
    expected = waiting.ends | waiting.bridges
    assert len(expected) > 20, "premise"

    for ns in {ns for ns, _ in expected}:
        # all at once: to ask for one gets its work done
        links = bed.run(ns, "ip", "-o", "link", "show").stdout
        found = dict(re.findall(r"^\d+: ([^@:]+)\S+ .* state (\S+) ", links, re.MULTILINE))
        assert {found[dev] for of, dev in expected if of == ns} == {"UP"}


@pytest.mark.kernel
def test_all_of_many_links_run_without_being_asked(store: LocalStore) -> None:
    """What the queue has not been at says UNKNOWN or LOWERLAYERDOWN in a dump."""
    pods = [f"pod-{number}" for number in range(MANY)]
    ends = [veth(pod, "node") for pod in pods] + [veth("node", pod) for pod in pods]
    linked = frozenset(replace(end, mac=mac(end.ns, end.name), mtu=1500) for end in ends)

    apply(store, linked | {Netns(ns=ns) for ns in ("node", *pods)})

    for pod in pods:
        with inside(store, pod):
            shown = subprocess.run(
                ["ip", "-o", "link"], capture_output=True, text=True, check=True
            )
        assert " state UP " in shown.stdout


PAIR = """
testbed: v1
name: pair
vpcs:
  main:
    cidrs: [10.0.0.0/16]
    subnets: { a: { cidr: 10.0.1.0/24, availabilityZone: us-west-2a } }
    instances: { one: { subnet: a }, two: { subnet: a } }
"""


ONCE = 3 + 1  # Linux counts from net.ipv4.neigh.*.ucast_solicit, 3, to leave the multicasts


def asked(bed: Bed, ns: str) -> int:
    """The count of the ARP requests for a neighbour: a lost one is repeated after 1 s."""
    [probes] = re.findall(r"probes (\d+)", bed.run(ns, "ip", "-s", "neighbour").stdout)
    return int(probes)


@pytest.mark.kernel
def test_the_first_packet_to_a_new_link_passes(beds: Callable[[Lab], Bed]) -> None:
    """A link that the work queue has never seen says that it runs, and drops packets."""
    whole = parse(PAIR, "pair.yaml")
    [vpc] = whole.vpcs
    without = replace(whole, vpcs=(replace(vpc, instances=vpc.instances[:1]),))
    bed = beds(whole)

    for _ in range(10):
        bed.up(without)
        bed.up(whole)
        assert bed.ping("one", "two").received == 1
        assert max(asked(bed, "one"), asked(bed, "two")) <= ONCE
