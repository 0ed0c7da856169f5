"""Whose address a pod sees, or why none: what was measured with kubelet, kubenet and kube-proxy.

Two nodes of a kops cluster with the slides' addresses, kube-proxy 1.14 and today's.  A Service for
each endpoint, so that nothing is left to chance.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from testbed.bed import Bed
from testbed.bed import bed as bring_up
from testbed.kops.model import HairpinMode, KopsCluster
from testbed.kops.wiring.node import BRIDGE_NETFILTER
from testbed.lab import Lab
from testbed.load import parse
from testbed.net.facts import Chain, Sysctl
from tests.routing.cni.breaking import instead

pytestmark = pytest.mark.kernel

LAB = """
testbed: v1
name: measured
vpcs:
  main:
    cidrs: [10.0.0.0/16, 10.1.0.0/16]
    subnets:
      a: { cidr: 10.0.1.0/24, availabilityZone: us-west-2a, mapPublicIpOnLaunch: true }
      b: { cidr: 10.1.1.0/24, availabilityZone: us-west-2b, mapPublicIpOnLaunch: true }
      elb: { cidr: 10.0.2.0/24, availabilityZone: us-west-2a }
    instances:
      elb: { subnet: elb, privateIp: 10.0.2.50 } # an ELB node, as far as a node sees it
    routeTables:
      main:
        0.0.0.0/0: internet-gateway
        203.0.113.250/32: na # an external address, routed to a node
clusters:
  kops:
    kind: kops
    vpc: main
    podCidr: 100.65.0.0/16
    serviceCidr: 100.64.0.0/16
    nodes:
      na: { subnet: a, instanceType: t3.medium, privateIp: 10.0.1.11, podCidr: 100.65.129.0/24,
            lastReservedIp: 100.65.129.10 }
      nb: { subnet: b, instanceType: t3.medium, privateIp: 10.1.1.11, podCidr: 100.65.130.0/24,
            lastReservedIp: 100.65.130.10 }
    kubeProxy: { era: "ERA" }
    pods:
      a:
        node: na
        containers: { s: { ports: [{ number: 80, protocol: http, hostPort: 8080 }, 7/udp] } }
      ca: { node: na }
      b: { node: nb }
      cb: { node: nb }
      ha: { node: na, hostNetwork: true, containers: { s: { ports: [9100] } } }
      hb: { node: nb, hostNetwork: true, containers: { s: { ports: [9100] } } }
    services:
      to-a: { type: NodePort, selector: { app: a }, clusterIp: 100.64.0.101,
              ports: [{ port: 80, nodePort: 30001 }], externalIPs: [203.0.113.250] }
      to-b: { type: NodePort, selector: { app: b }, clusterIp: 100.64.0.102,
              ports: [{ port: 80, nodePort: 30002 }] }
      local-a: { type: NodePort, selector: { app: a }, clusterIp: 100.64.0.103,
                 externalTrafficPolicy: Local, ports: [{ port: 80, nodePort: 30003 }] }
      local-b: { type: NodePort, selector: { app: b }, clusterIp: 100.64.0.104,
                 externalTrafficPolicy: Local, ports: [{ port: 80, nodePort: 30004 }] }
      gone: { type: NodePort, selector: { app: nobody }, clusterIp: 100.64.0.105,
              ports: [{ port: 80, nodePort: 30005 }] }
"""
NA, NB, CBR0_A, CBR0_B = "10.0.1.11", "10.1.1.11", "100.65.129.1", "100.65.130.1"
TO_A, TO_B, GONE = "100.64.0.101", "100.64.0.102", "100.64.0.105"
EXTERNAL, HOST = "203.0.113.250", "203.0.113.10"
ERAS = ("1.14", "current")


@pytest.fixture(scope="module", params=ERAS)
def era(request: pytest.FixtureRequest) -> Any:
    """Whose rules the lab has."""
    return request.param


def lab_of(era: str, **flags: Any) -> Lab:
    """The lab with other flags of kube-proxy."""
    lab = parse(LAB.replace("ERA", era), "measured.yaml")
    [cluster] = lab.clusters
    changed = replace(cluster, kube_proxy=replace(cluster.kube_proxy, **flags))
    return replace(lab, clusters=(changed,))


@pytest.fixture(scope="module")
def bed(era: str) -> Iterator[Bed]:
    with bring_up(lab_of(era)) as up:
        yield up


def seen(bed: Bed, source: str, address: str, port: int = 80) -> str:
    """The client's address that the server saw, or how the connection failed."""
    outcome = bed.http(source, address, port)
    if outcome.answer is None:
        return outcome.verdict
    return str(outcome.answer["client"]).rsplit(":", 1)[0]


POD = "pod"  # the source's own address
PUBLIC = "public"  # the one that the internet gateway pairs with na's

# flow: source, address, port, what is seen in era 1.14 and today
FLOWS = {
    "pod -> pod of its node": ("ca", "a", 80, POD, POD),
    "pod -> pod of another node": ("ca", "b", 80, POD, POD),
    "pod -> ClusterIP -> another node": ("ca", TO_B, 80, POD, POD),
    "pod -> ClusterIP -> its node": ("ca", TO_A, 80, POD, POD),
    "pod -> ClusterIP -> itself": ("a", TO_A, 80, CBR0_A, CBR0_A),
    "node -> ClusterIP -> another node": ("na", TO_B, 80, NA, NA),
    "node -> ClusterIP -> its own pod": ("na", TO_A, 80, CBR0_A, CBR0_A),
    "pod -> its node": ("ca", NA, 9100, POD, POD),
    "pod -> another node": ("ca", NB, 9100, NA, NA),
    "pod -> internet": ("ca", HOST, 80, PUBLIC, PUBLIC),
    "pod -> its node's port -> another node": ("ca", NA, 30002, NA, NA),
    "pod -> another node's port -> a pod there": ("ca", NB, 30002, CBR0_B, CBR0_B),
    "outside -> node port -> a pod there": ("elb", NA, 30001, CBR0_A, CBR0_A),
    "outside -> node port -> another node": ("elb", NA, 30002, NA, NA),
    "outside -> node port, Local": ("elb", NA, 30003, POD, POD),
    "outside -> node port, Local, none here": ("elb", NA, 30004, "timeout", "timeout"),
    "pod -> its node's port, Local, none here": ("ca", NA, 30004, POD, POD),
    "pod -> another node's port, Local": ("ca", NB, 30004, NA, NA),
    "node -> its port, Local": ("na", NA, 30003, NA, CBR0_A),
    "node -> its port, Local, none here": ("na", NA, 30004, "timeout", NA),
    "node -> 127.0.0.1 -> its own pod": ("na", "127.0.0.1", 30001, CBR0_A, CBR0_A),
    "node -> 127.0.0.1 -> another node": ("na", "127.0.0.1", 30002, NA, NA),
    "pod -> ClusterIP without endpoints": ("ca", GONE, 80, "refused", "refused"),
    "node -> ClusterIP without endpoints": ("na", GONE, 80, "refused", "refused"),
    "pod -> node port without endpoints": ("ca", NA, 30005, "refused", "refused"),
    "outside -> node port without endpoints": ("elb", NB, 30005, "refused", "refused"),
    "pod -> ClusterIP, wrong port": ("ca", TO_A, 81, "timeout", "timeout"),
    "pod -> external address": ("cb", EXTERNAL, 80, CBR0_A, NB),
    "node -> external address": ("nb", EXTERNAL, 80, CBR0_A, NB),
    "outside -> external address": ("elb", EXTERNAL, 80, CBR0_A, CBR0_A),
    "outside -> host port": ("elb", NA, 8080, POD, POD),
    "pod -> its node's host port -> itself": ("a", NA, 8080, CBR0_A, CBR0_A),
}


@pytest.mark.parametrize("flow", FLOWS)
def test_the_source_seen_is_the_one_that_was_measured(bed: Bed, era: str, flow: str) -> None:
    source, address, port, then, today = FLOWS[flow]
    expected = then if era == "1.14" else today

    asking = bed.briefly if expected == "timeout" else bed
    found = seen(asking, source, address, port)

    own = {POD: str(bed.address(source)), PUBLIC: public_address(bed, "na")}
    assert found == own.get(expected, expected)


def public_address(bed: Bed, node: str) -> str:
    return next(str(eni.public_ip) for eni in bed.allocations.enis if eni.instance == node)


@pytest.fixture(scope="module")
def without_cidr(era: str) -> Iterator[Bed]:
    """kube-proxy was not told which range the pods have."""
    with bring_up(lab_of(era, cluster_cidr="")) as up:
        yield up


def test_without_a_cluster_cidr_nobody_is_told_from_a_pod(without_cidr: Bed, era: str) -> None:
    """A node's packets to a ClusterIP stay as they are; pods have no way around policy Local."""
    assert seen(without_cidr, "na", TO_A) == NA
    assert seen(without_cidr.briefly, "ca", NA, 30004) == "timeout"


def test_without_bridge_netfilter_the_reply_misses_its_translation(bed: Bed) -> None:
    """Bridged back, it comes from the endpoint: the client called somebody else."""
    setting = bed.fact(Sysctl, ns="na", name=BRIDGE_NETFILTER)

    with instead(bed, setting, replace(setting, value="0")):
        assert seen(bed.briefly, "ca", TO_A) == "timeout"
        assert seen(bed, "ca", TO_B) == str(bed.address("ca")), (
            "control: across nodes it is routed"
        )
    assert seen(bed, "ca", TO_A) == str(bed.address("ca"))


def test_without_bridge_netfilter_an_external_address_is_short_cut(bed: Bed) -> None:
    """1.14 tells pods' packets by physdev, which without iptables on the bridge never matches."""
    setting = bed.fact(Sysctl, ns="nb", name=BRIDGE_NETFILTER)

    with instead(bed, setting, replace(setting, value="0")):
        assert seen(bed, "cb", EXTERNAL) == NB


@pytest.mark.parametrize("mode", ["promiscuous-bridge", "none"])
def test_a_pod_reaches_itself_in_hairpin_mode_only(bed: Bed, mode: HairpinMode) -> None:
    """By its ClusterIP and by its host port."""
    before = bed.lab
    [cluster] = before.clusters
    assert isinstance(cluster, KopsCluster)
    bed.up(replace(before, clusters=(replace(cluster, hairpin_mode=mode),)))
    try:
        assert seen(bed.briefly, "a", TO_A) == "timeout"
        assert seen(bed.briefly, "a", NA, 8080) == "timeout"
        assert seen(bed, "ca", TO_A) == str(bed.address("ca")), "control: another pod"
    finally:
        bed.up(before)


def test_a_forward_policy_of_drop_cuts_pods_off(bed: Bed) -> None:
    """Docker's; kube-proxy accepts what it marked and what answers, not a pod's first packet."""
    chain = bed.fact(Chain, ns="na", table="filter", name="FORWARD")

    with instead(bed, chain, replace(chain, policy="DROP")):
        assert seen(bed.briefly, "ca", "b") == "timeout"
        assert seen(bed.briefly, "ca", TO_B) == "timeout"
        assert seen(bed.briefly, "ca", HOST) == "timeout"
        assert seen(bed, "na", "a") == CBR0_A, "control: a node's own is not forwarded"
        assert seen(bed, "elb", NA, 30002) == NA, "what is marked to be masqueraded passes"
    assert seen(bed, "ca", "b") == str(bed.address("ca"))
