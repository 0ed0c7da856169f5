"""A pod's packets leave by the ENI that owns the pod's address, and arrive as the pod's own."""

from ipaddress import IPv4Network

import pytest

from testbed.bed import Bed
from testbed.eks.wiring.node import FROM_ENI
from testbed.net.facts import Neighbour, NftElement, Route, Rule, Sysctl

pytestmark = pytest.mark.kernel


def test_pods_on_one_node_meet_in_its_main_table(bed: Bed) -> None:
    """Nothing is bridged on an EKS node: rule 512 sends what is for a pod to its veth."""
    assert bed.pod("web-0").node == bed.pod("web-1").node, "premise: one node"

    path = bed.path("web-0", "web-1")

    assert [(hop.ns, hop.dev) for hop in path.hops[:2]] == [
        ("web-0", "eth0"),
        ("node-1", bed.fact(Route, ns="node-1", dst=IPv4Network(bed.pod("web-1").ip)).dev),
    ]
    assert path.hops[1].rule.startswith("512:")
    assert path.delivered
    assert bed.ping("web-0", "web-1").received == 1


def test_a_pod_on_the_first_eni_leaves_by_eth0(bed: Bed) -> None:
    """Table main is eth0's table, so such a pod needs no rule of its own."""
    assert bed.pod("web-0").device_index == 0, "premise: the first ENI's address"

    path = bed.path("web-0", "client")

    assert [(hop.ns, hop.dev) for hop in path.hops[:3]] == [
        ("web-0", "eth0"),
        ("node-1", "eth0"),
        ("vpc-main", "private-b"),
    ]
    assert path.hops[1].table == "main"
    assert bed.ping("web-0", "client").received == 1


def test_a_pod_on_the_second_eni_leaves_by_that_eni(bed: Bed) -> None:
    """`1536: from POD lookup 2` picks the ENI; the main table alone would pick eth0."""
    assert bed.pod("web-4").device_index == 1, "premise: five pods overflow a t3.small's first ENI"

    path = bed.path("web-4", "client")

    assert [(hop.ns, hop.dev) for hop in path.hops[:3]] == [
        ("web-4", "eth0"),
        ("node-1", "eth1"),
        ("vpc-main", "private-b"),
    ]
    assert (path.hops[1].rule[:5], path.hops[1].table) == ("1536:", "2")
    assert path.hops[-1].ns == "client"
    assert bed.ping("web-4", "client").received == 1


def test_without_rule_1536_the_source_check_drops_the_packet(bed: Bed) -> None:
    """eth0 may not send an address of eth1: the ENI's source check."""
    rule = bed.fact(Rule, ns="node-1", priority=1536, src=IPv4Network(bed.pod("web-4").ip))

    with bed.without(rule):
        path = bed.path("web-4", "client")
        assert path.hops[1].dev == "eth0"
        assert path.code == "ENI_SOURCE_DEST_CHECK_RESTRICTION"
        assert bed.briefly.ping("web-4", "client").received == 0
        assert bed.ping("web-0", "client").received == 1, "control: the way itself is open"

    assert bed.ping("web-4", "client").received == 1
    assert not bed.drift()


def test_without_rule_512_the_node_sends_a_pods_packet_back_to_the_vpc(bed: Bed) -> None:
    """web-4 to web-0: rule 1536 would win, and the packet would leave the node it is for."""
    rule = bed.fact(Rule, ns="node-1", priority=512, dst=IPv4Network(bed.pod("web-0").ip))

    with bed.without(rule):
        assert bed.path("web-4", "web-0").hops[1].dev == "eth1"

    assert bed.path("web-4", "web-0").hops[1].rule.startswith("512:")
    assert not bed.drift()


def test_without_the_static_neighbour_a_pod_reaches_nobody(bed: Bed) -> None:
    """169.254.1.1 is on no interface: only the permanent entry leads to the node."""
    neighbour = bed.fact(Neighbour, ns="web-0")

    with bed.without(neighbour):
        assert bed.briefly.ping("web-0", "web-1").received == 0
        assert bed.ping("web-2", "web-1").received == 1, "control: the destination answers"

    assert bed.ping("web-0", "web-1").received == 1
    assert not bed.drift()


def test_the_other_side_sees_the_pods_own_address(bed: Bed) -> None:
    """Problem 2 of Kubernetes' networking: pods talk without NAT."""
    for source in ("web-0", "web-4", "api"):
        seen = bed.http(source, "client").answer
        assert seen is not None
        assert seen["client"].rsplit(":", 1)[0] == str(bed.pod(source).ip)
        assert seen["pod"] == "client"


def test_a_node_reaches_its_own_pods_and_others(bed: Bed) -> None:
    """kubelet's probes come from the node's own address."""
    own = bed.http("node-1", "web-4").answer
    other = bed.http("node-1", "client").answer

    assert own is not None
    assert own["client"].startswith(f"{bed.address('node-1')}:")
    assert other is not None
    assert other["client"].startswith(f"{bed.address('node-1')}:")


def test_a_host_network_pod_is_its_node(bed: Bed) -> None:
    """It listens on the node's address and speaks with it."""
    seen = bed.http("web-0", "node-2", 9100).answer

    assert seen is not None
    assert seen["pod"] == "monitoring.node-exporter"
    assert seen["local"] == f"{bed.address('node-2')}:9100"


def test_containers_of_a_pod_share_localhost(bed: Bed) -> None:
    """Problem 1 of Kubernetes' networking: container to container."""
    seen = bed.http("api", "127.0.0.1", 9090).answer

    assert seen is not None
    assert (seen["pod"], seen["container"]) == ("api", "metrics")
    assert bed.tcp("web-0", "127.0.0.1", 9090).verdict == "refused", "control: only in that pod"


def test_strict_reverse_path_filtering_on_eth0_does_not_touch_pods_of_the_vpc(bed: Bed) -> None:
    """eth0 is loose for node ports' sake alone; pods of eth0 pass a strict filter too."""
    loose = bed.fact(Sysctl, ns="node-2", name="net.ipv4.conf.eth0.rp_filter")
    assert loose.value == "2"

    assert bed.ping("web-0", "client").received == 1


def test_the_second_enis_own_address_answers_by_its_own_table(bed: Bed) -> None:
    """`32765: from ENI lookup 2`; without it the reply leaves by eth0 and dies there."""
    rule = bed.fact(Rule, ns="node-1", priority=FROM_ENI, table=2)
    address = str(rule.src.network_address)

    assert bed.ping("client", address).received == 1
    with bed.without(rule):
        assert bed.briefly.ping("client", address).received == 0
        assert bed.ping("client", "node-1").received == 1, "control: the node answers"
    assert not bed.drift()


def test_an_address_nobody_has_is_answered_by_silence(bed: Bed) -> None:
    """A VPC sends no ICMP: the probe times out and is not told why."""
    nobody = "10.0.2.200"
    assert not any(
        isinstance(fact, NftElement) and nobody in fact.element for fact in bed.state
    ), "premise: no ENI has it"

    assert bed.path("web-0", nobody).code == "X_NO_MAPPING"
    assert bed.briefly.tcp("web-0", nobody, 80).verdict == "timeout"
    assert bed.tcp("web-0", "client", 80).delivered, "control"


def test_every_pair_of_pods_speaks_every_protocol(bed: Bed) -> None:
    """The whole matrix, and no drift after it."""
    for protocol in ("icmp", "tcp", "http"):
        result = bed.matrix(protocol)
        assert (result.failed, result.inconclusive) == ((), ())
        assert result.ok == result.pairs > 0
    assert not bed.drift()


def test_a_nodes_own_packet_to_its_pod_has_the_nodes_address(bed: Bed) -> None:
    """The veth's end in the node has no address of its own."""
    assert bed.path("node-1", "web-3").delivered
    assert bed.ping("node-1", "web-3").received == 1
