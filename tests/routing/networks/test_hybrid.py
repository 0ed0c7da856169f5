"""A cluster, a peer, an office and the internet: who is seen as client, and who is not let in."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from testbed.bed import Bed
from testbed.bed import bed as bring_up
from testbed.daemon.questions.connections import connections, owner, settings
from testbed.eks.model import EksCluster
from testbed.explain.reachability import question, reach
from testbed.explain.walk.predict import predict
from testbed.explain.walk.world import World
from testbed.kernel.read.observe import observe
from testbed.lab import Lab
from testbed.load import load
from testbed.net.drift.diff import compare
from testbed.net.facts import Chain, NftElement, Sysctl
from testbed.plan import plan
from testbed.vpc.fabric.routing import PROPAGATED

pytestmark = pytest.mark.kernel

NODE, POD, NAT = "node", "pod", "nat-a"
PUBLIC = "node's public address"
DROPPED = "IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS"

# Whom tools (a peer), desk (on-premises) and the internet see: EKS User Guide, "Enable outbound
# internet access for Pods", and amazon-vpc-cni-k8s, README.
SEEN = {
    ("SNAT", "private"): (NODE, NODE, NAT),
    ("SNAT", "public"): (NODE, NODE, PUBLIC),
    ("EXCLUDE_SNAT_CIDRS", "private"): (POD, POD, NAT),
    ("EXCLUDE_SNAT_CIDRS", "public"): (POD, POD, PUBLIC),
    ("EXTERNALSNAT", "private"): (POD, POD, NAT),
    ("EXTERNALSNAT", "public"): (POD, POD, DROPPED),
}
SERVERS = ("tools", "desk", "internet")


@pytest.fixture(scope="module")
def lab(topologies: Path) -> Iterator[Bed]:
    """`topologies/hybrid.yaml`, up."""
    with bring_up(load(topologies / "hybrid.yaml")) as up:
        yield up


def test_every_pair_does_what_the_topology_expects(lab: Bed) -> None:
    for protocol in ("icmp", "http"):
        result = lab.matrix(protocol)
        assert (result.failed, result.inconclusive) == ((), ())


@pytest.mark.parametrize("number", range(3))
def test_who_is_seen_as_client_follows_from_the_snat_setting(lab: Bed, number: int) -> None:
    """On both interfaces alike; a public node's unsnatted pods die at the internet gateway."""
    setting = list(settings(lab.lab))[number]
    wanted = plan(setting.lab, lab.allocations)
    world = World.planned(wanted)

    lab.change(wanted)
    try:
        for one in connections(lab.lab, lab.allocations):
            kind = one.pod.pod.partition("-")[0]
            expected = SEEN[setting.name, kind][SERVERS.index(one.server.name)]
            foreseen = reach(
                predict(world, one.pod.pod, question("http", one.pod.ip, one.server.address, 80))
            )
            asking = lab if foreseen.delivered else lab.briefly
            answer = asking.http(one.pod.pod, str(one.server.address)).answer
            if answer is None:
                assert foreseen.code == expected
                continue
            client = lab.address(answer["client"].rpartition(":")[0])
            assert owner(client, one.pod, lab.allocations) == expected, one
            assert foreseen.delivered
    finally:
        lab.change(lab.state)
    assert not lab.drift()


def test_the_office_sees_nodes_because_of_the_snat_chain(lab: Bed) -> None:
    """Without it the office sees the pod, whose address it can answer."""
    chain = lab.fact(Chain, ns="node-1", table="nat", name="AWS-SNAT-CHAIN-0")

    lab.change(lab.state - {chain} | {replace(chain, rules=())})
    try:
        answer = lab.http("private-0", "desk").answer
        assert answer is not None
        assert answer["client"].startswith(f"{lab.address('private-0')}:")
    finally:
        lab.change(lab.state)


def test_the_office_reaches_pods_of_both_interfaces(lab: Bed) -> None:
    """Today's rule 1536 leads their answers out of their own interface."""
    for pod in ("private-0", "private-1", "public-0", "public-1"):
        answer = lab.http("desk", pod).answer
        assert answer is not None
        assert answer["client"].startswith("192.168.1.10:")


def slides(lab: Lab, *, external: bool) -> Lab:
    """The lab with amazon-vpc-cni-k8s v1.5."""
    [cluster] = lab.clusters
    assert isinstance(cluster, EksCluster)
    env = replace(cluster.env, external_snat=external)
    return replace(lab, clusters=(replace(cluster, profile="slides", env=env),))


def test_v1_5_needs_external_snat_for_the_office_to_reach_a_pod_of_eth1(lab: Bed) -> None:
    """Its rule 1536 ends at the VPC's ranges: the answer leaves by eth0, which may not send it."""
    for external, reached in ((False, False), (True, True)):
        lab.change(plan(slides(lab.lab, external=external), lab.allocations))
        try:
            assert lab.ping("desk", "private-0").received == 1, "control: eth0"
            asking = lab if reached else lab.briefly
            assert bool(asking.ping("desk", "private-1").received) == reached
        finally:
            lab.change(lab.state)


def test_neither_peer_nor_office_gets_through_the_vpc(lab: Bed) -> None:
    """No edge-to-edge routing: not to each other, not to the internet."""
    assert lab.path("desk", "tools").code == "NO_ROUTE_TO_DESTINATION"
    assert lab.path("tools", "desk").code == "NO_ROUTE_TO_DESTINATION"


def test_direct_connect_is_preferred_and_the_vpn_takes_over(
    beds: Callable[[Lab], Bed], topologies: Path
) -> None:
    lab = load(topologies / "hybrid.yaml")
    [office] = lab.on_premises
    direct, vpn = office.connections
    without = replace(office, connections=(replace(direct, up=False), vpn))

    for site, used in ((office, "office-d-"), (without, "office-vpn")):
        bed = beds(replace(lab, on_premises=(site,)))
        [hop] = [hop for hop in bed.path("private-0", "desk").hops if hop.ns == "vgw-main"]
        assert hop.dev.startswith(used)
        assert bed.http("private-0", "desk").delivered
        assert bed.http("desk", "private-1").delivered


def test_a_running_lab_changes_into_another_and_back(
    beds: Callable[[Lab], Bed], topologies: Path
) -> None:
    """A connection down, the peering deleted; then neither gateway nor office; then all again."""
    lab = load(topologies / "hybrid.yaml")
    [office] = lab.on_premises
    direct, vpn = office.connections
    [pcx] = lab.peerings
    main, shared = lab.vpcs
    less = replace(
        lab,
        on_premises=(replace(office, connections=(replace(direct, up=False), vpn)),),
        peerings=(replace(pcx, status="deleted"),),
    )
    without = (replace(main, virtual_private_gateway=None), shared)
    least = replace(lab, vpcs=without, on_premises=(), expect=())
    bed = beds(lab)

    for changed in (less, least, lab):
        wanted = plan(changed, bed.allocations)
        bed.change(wanted)
        sysctls = [fact for fact in wanted if isinstance(fact, Sysctl)]
        assert not compare(wanted, observe(bed.store, sysctls=sysctls).state)
    assert bed.ping("private-0", "desk").received == 1


def test_the_gateway_takes_only_addresses_of_enis(lab: Bed) -> None:
    """Both ways; the negative is the same packet with its element taken away."""
    address = str(lab.address("private-0"))
    [element] = [
        f
        for f in lab.state
        if isinstance(f, NftElement)
        and (f.ns, f.set, f.element) == ("vgw-main", "assigned", address)
    ]

    assert lab.path("desk", "10.0.1.200").code == "VGW_PRIVATE_IP_ASSOCIATION_FOR_INGRESS"
    with lab.without(element):
        assert lab.briefly.ping("desk", "private-0").received == 0
        assert lab.ping("desk", "private-1").received == 1, "control"


def test_propagated_routes_are_told_from_static_ones(lab: Bed) -> None:
    """In `ip route` of the router: by their metric."""
    shown = lab.run("vpc-main", "ip", "route", "show", "table", "all").stdout

    assert f"192.168.0.0/16 via 169.254.255.10 dev vgw table 1 metric {PROPAGATED}" in shown
