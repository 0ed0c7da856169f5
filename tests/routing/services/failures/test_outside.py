"""What goes wrong between clients outside and a Service's pods: made to happen, and explained.

kops.yaml's lab: node-2 alone is in zone b, node-1 and node-3 are in zone a.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from testbed.bed import Bed
from testbed.bed import bed as bring_up
from testbed.kubernetes.model import Service, ServicePort
from testbed.lab import Lab
from testbed.load import load
from testbed.probes.sockets import socket_in
from testbed.services.load_balancers.health import Server
from testbed.vpc.security.model import SecurityGroup
from tests.routing.cni.breaking import dies, works
from tests.routing.cni.conftest import Explain
from tests.routing.cni.conftest import explain as explain
from tests.routing.cni.conftest import observer as observer
from tests.routing.load_balancers.checking import QUICK, SLOW
from tests.routing.services.promises import changed, cluster
from tests.waiting import PATIENCE_S, wait_until

pytestmark = pytest.mark.kernel

NODE_PORT = 30080
ZONE_B = "elb-web-us-west-2b"
TARGET = Server("80", "node-2")  # its only one
IDLE = "service.beta.kubernetes.io/aws-load-balancer-connection-idle-timeout"
WEB = Service(
    "web",
    {"app": "web"},
    (ServicePort(80, node_port=NODE_PORT),),
    type="LoadBalancer",
    health_check=QUICK,
    annotations={IDLE: "1"},
)


def lab_of(topologies: Path, *services: Service) -> Lab:
    lab = load(topologies / "kops.yaml")
    [only] = lab.clusters
    return replace(lab, clusters=(replace(only, services=services),))


@pytest.fixture(scope="module")
def bed(topologies: Path) -> Iterator[Bed]:
    with bring_up(lab_of(topologies, WEB)) as up:
        yield up


def public(bed: Bed, place: str) -> str:
    [eni] = [eni for eni in bed.allocations.enis if eni.instance == place]
    return str(eni.public_ip)


def test_a_silent_connection_is_closed_by_the_load_balancer(bed: Bed) -> None:
    """AWS: 60 s unless an annotation says otherwise; no packet is lost, both ends see an end."""
    with socket_in(bed.store, "internet") as client:
        client.settimeout(PATIENCE_S)
        client.connect((public(bed, ZONE_B), 80))
        assert client.recv(1) == b""


def test_a_rolling_update_is_noticed_by_the_health_check_only(bed: Bed, explain: Explain) -> None:
    """k/k#85643: policy Local, and a node's only pod is made again elsewhere."""
    local = replace(WEB, external_traffic_policy="Local", health_check=SLOW)
    bed.up(changed(bed, services=(local,)))
    pods = cluster(bed).pods
    wait_until(lambda: bed.target_states(ZONE_B) == {TARGET: "InService"})
    node_2 = str(bed.address("node-2"))
    assert works(explain(ZONE_B, node_2, NODE_PORT))

    elsewhere = tuple(replace(pod, node="node-3") if pod.name == "web-1" else pod for pod in pods)
    bed.up(changed(bed, pods=elsewhere))
    assert bed.target_states(ZONE_B) == {TARGET: "InService"}, "for it does not know yet"
    assert dies(explain(ZONE_B, node_2, NODE_PORT), "node-2", "X_MARKED_TO_DROP")
    assert not bed.briefly.http("internet", public(bed, ZONE_B)).delivered
    bed.up(changed(bed, services=(replace(local, health_check=QUICK),)))

    wait_until(lambda: bed.target_states(ZONE_B) == {TARGET: "OutOfService"})
    bed.follow_balancers()
    assert bed.health.left_out == {ZONE_B}
    bed.up(changed(bed, pods=pods, services=(WEB,)))


def test_behind_a_translation_all_clients_are_one(bed: Bed, explain: Explain) -> None:
    """ClientIP: node-2 sees node-1, whoever called there; AWS refuses it for load balancers."""
    sticky = replace(WEB, type="NodePort", session_affinity="ClientIP", annotations={})
    bed.up(changed(bed, services=(sticky,)))
    node_2 = str(bed.address("node-2"))

    for client in ("client", "web-0"):
        seen = explain(client, node_2, NODE_PORT)
        assert works(seen)
        assert seen.visit("node-2").arrived.source == bed.address("node-1")
    remembered = bed.run("node-2", "sh", "-c", "cat /proc/net/xt_recent/KUBE-SEP-*").stdout
    sources = {line.split()[0] for line in remembered.splitlines()}
    assert sources == {f"src={bed.address('node-1')}"}
    bed.up(changed(bed, services=(WEB,)))


def test_node_ports_are_closed_to_the_internet_by_kops_security_groups(
    bed: Bed, explain: Explain
) -> None:
    """`nodePortAccess` of kops opens them; inside they are open."""
    before = bed.lab
    [vpc] = before.vpcs
    assert works(explain("internet", "node-1", NODE_PORT)), "premise: no groups, no filter"

    grouped = replace(vpc, security_groups=(SecurityGroup("default"),))
    bed.up(replace(before, vpcs=(grouped,)))
    try:
        assert dies(explain("internet", "node-1", NODE_PORT), "vpc-main", "ENI_SG_RULES_MISMATCH")
        assert works(explain("node-2", str(bed.address("node-1")), NODE_PORT)), "control: inside"
        assert bed.http("internet", public(bed, ZONE_B)).delivered, "control: the load balancer"
    finally:
        bed.up(before)


def test_node_ports_of_other_addresses_are_closed(bed: Bed, explain: Explain) -> None:
    """`nodePortAddresses`: a public address is the private one by the time the node sees it."""
    before = bed.lab
    [only] = before.clusters
    assert only.cluster_cidr
    elsewhere = replace(only.kube_proxy, node_port_addresses=(only.cluster_cidr,))
    bed.up(changed(bed, kube_proxy=elsewhere))
    try:
        assert dies(explain("internet", "node-1", NODE_PORT), "node-1", "X_CLOSED_PORT")
        assert works(explain("client", "100.96.0.1", NODE_PORT)), "control: cbr0's address"
    finally:
        bed.up(before)
