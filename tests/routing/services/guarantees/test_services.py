"""What Kubernetes promises of Services (its e2e tests, test/e2e/network), on both networks."""

import socket
from dataclasses import replace

import pytest

from testbed.bed import Bed
from testbed.kubernetes.manifests import parse as parse_manifests
from testbed.kubernetes.model import Pod, Service, ServicePort
from testbed.probes.sockets import socket_in
from tests.routing.services.promises import (
    ALL,
    CLUSTER_IP,
    ENOUGH,
    IP,
    NODE_PORT,
    changed,
    cluster,
    everyone,
    health,
    serve,
    today,
    who,
)
from tests.routing.services.promises import bed as bed
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.kernel


def test_every_endpoint_answers_by_cluster_ip_and_node_port(bed: Bed) -> None:
    """G3, G4, G16: from pods, endpoints themselves and nodes."""
    serve(bed)

    for source in ("client", "web-0", "na", "nb"):
        assert everyone(bed, source) == ALL
    assert everyone(bed, "client", "10.0.1.11", NODE_PORT) == ALL
    assert everyone(bed, "outside", "10.0.2.11", NODE_PORT) == ALL


def test_the_servers_see_the_pod_that_calls(bed: Bed) -> None:
    """G11: by a ClusterIP nobody else's address is put on the packet."""
    serve(bed)

    answers = [bed.http("client", IP).answer or {} for _ in range(ENOUGH)]

    assert {one["client"].rsplit(":", 1)[0] for one in answers} == {str(bed.pod("client").ip)}


def test_a_client_stays_with_its_endpoint(bed: Bed) -> None:
    """G8, G21: affinity by ClusterIP and by node port, and none when it is switched off."""
    serve(bed, session_affinity="ClientIP")

    assert len({who(bed, "client") for _ in range(15)}) == 1
    assert len({who(bed, "outside", "10.0.1.11", NODE_PORT) for _ in range(15)}) == 1

    serve(bed)
    assert everyone(bed, "client") == ALL


def test_an_endpoint_that_goes_is_not_asked_again(bed: Bed) -> None:
    """G6, and back: its chains go and come, the others stay."""
    serve(bed)
    pods = cluster(bed).pods

    bed.up(changed(bed, pods=tuple(pod for pod in pods if pod.name != "web-1")))
    assert everyone(bed, "client") == ALL - {"web-1"}
    assert not bed.drift()
    bed.up(changed(bed, pods=pods))
    assert everyone(bed, "client") == ALL


def test_a_service_changes_its_type_ports_and_endpoints(bed: Bed) -> None:
    """G7, G19, G24, G34: what is gone is closed at once, what has no endpoint refuses."""
    serve(bed)
    assert who(bed, "client", "10.0.1.11", NODE_PORT) in ALL

    serve(bed, type="ClusterIP", ports=(ServicePort(81, target_port=80),))
    assert who(bed, "client", "10.0.1.11", NODE_PORT) == "refused", "nobody listens there"
    assert who(bed, "client", IP, 81) in ALL
    assert who(bed.briefly, "client", IP, 80) == "timeout"

    nobody = Service("web", {"app": "nobody"}, (ServicePort(80),), cluster_ip=CLUSTER_IP)
    bed.up(changed(bed, services=(nobody,)))
    assert who(bed, "client") == "refused"

    bed.up(changed(bed, services=(Service("web", type="ExternalName", external_name="a.b"),)))
    assert who(bed.briefly, "client") == "timeout", "nobody's address"
    assert not bed.drift()


def test_callers_prefer_endpoints_of_their_own_zone(bed: Bed) -> None:
    """trafficDistribution: PreferClose; a zone without an endpoint has all of them."""
    serve(bed, traffic_distribution="PreferClose")
    pods = cluster(bed).pods
    there = {"far"} if today(bed) else ALL

    assert everyone(bed, "client") == there
    assert everyone(bed, "na") == (ALL - there if today(bed) else ALL)
    bed.up(changed(bed, pods=tuple(pod for pod in pods if pod.name != "far")))
    assert everyone(bed, "client") == ALL - {"far"}
    assert not bed.drift()

    bed.up(changed(bed, pods=pods))


def test_endpoints_that_are_not_ready_are_left_out_unless_they_are_published(bed: Bed) -> None:
    """G25: publishNotReadyAddresses."""
    pods = cluster(bed).pods
    unready = tuple(replace(pod, ready=pod.name == "far") for pod in pods)

    serve(bed)
    bed.up(changed(bed, pods=unready))
    assert everyone(bed, "client") == {"far"}
    serve(bed, publish_not_ready_addresses=True)
    assert everyone(bed, "client") == ALL

    bed.up(changed(bed, pods=pods))


def test_pods_that_end_serve_on_when_nobody_is_left(bed: Bed) -> None:
    """G32: today's fallback; 1.14 refuses."""
    pods = cluster(bed).pods
    serve(bed)

    ending = tuple(replace(pod, terminating=pod.name != "client") for pod in pods)
    bed.up(changed(bed, pods=ending))
    if today(bed):
        assert everyone(bed, "client") == ALL
    else:
        assert who(bed, "client") == "refused"

    bed.up(changed(bed, pods=pods))


def test_the_internal_policy_keeps_to_the_node(bed: Bed) -> None:
    """G26: today; 1.14 knows no such policy."""
    serve(bed, internal_traffic_policy="Local")

    assert everyone(bed, "client") == ({"far"} if today(bed) else ALL)
    assert everyone(bed, "web-0") == ({"web-0", "web-1"} if today(bed) else ALL)


def test_the_external_policy_shows_the_client_and_health_says_where(bed: Bed) -> None:
    """G27, G28, G30: only nodes with an endpoint answer the load balancer's question."""
    serve(bed, type="LoadBalancer", external_traffic_policy="Local", health_check_node_port=30999)

    answer = bed.http("outside", "10.0.2.11", NODE_PORT).answer
    assert answer is not None
    assert (answer["pod"], answer["client"].rsplit(":", 1)[0]) == (
        "far",
        str(bed.address("outside")),
    )
    assert health(bed, "10.0.1.11") == (200, 2)
    assert health(bed, "10.0.2.11") == (200, 1)

    bed.up(changed(bed, pods=tuple(pod for pod in cluster(bed).pods if pod.name != "far")))
    assert health(bed, "10.0.2.11") == (503, 0)
    assert who(bed.briefly, "outside", "10.0.2.11", NODE_PORT) == "timeout"
    assert everyone(bed, "outside", "10.0.1.11", NODE_PORT) == {"web-0", "web-1"}

    pods = (*cluster(bed).pods, Pod("far", node="nb", labels={"app": "web"}))
    bed.up(changed(bed, pods=pods))
    serve(bed)
    assert bed.tcp("outside", "10.0.1.11", 30999).verdict == "refused", "the port is closed"


def test_tcp_and_udp_share_a_port_and_large_datagrams_pass(bed: Bed) -> None:
    """G9, G18, G35: 2000 bytes by a ClusterIP; two protocols of one number."""
    both = (
        ServicePort(7, name="tcp"),
        ServicePort(7, name="udp", protocol="UDP"),
    )
    serve(bed, ports=both)

    assert bed.tcp("client", IP, 7).delivered
    with socket_in(bed.store, "client", kind=socket.SOCK_DGRAM) as client:
        client.settimeout(PATIENCE_S)
        client.connect((IP, 7))
        client.send(b"x" * 2000)
        assert b"x" * 1000 in client.recv(4096)


def test_a_udp_client_that_keeps_its_port_reaches_the_new_endpoint(bed: Bed) -> None:
    """G37: its conntrack entry leads to the pod that is gone, and has to go too."""
    pods = cluster(bed).pods
    udp = (ServicePort(7, protocol="UDP"),)
    serve(bed, type="ClusterIP", ports=udp)
    bed.up(changed(bed, pods=tuple(pod for pod in pods if pod.name not in ("web-0", "web-1"))))
    with socket_in(bed.store, "client", kind=socket.SOCK_DGRAM) as client:
        client.settimeout(PATIENCE_S)
        client.bind(("", 12345))
        client.connect((IP, 7))
        client.send(b"one")
        assert b'"pod": "far"' in client.recv(4096)

        bed.up(changed(bed, pods=tuple(pod for pod in pods if pod.name != "far")))
        client.send(b"two")
        assert b'"pod": "web-' in client.recv(4096)

    bed.up(changed(bed, pods=pods))


def test_a_udp_client_that_came_first_reaches_the_first_endpoint(bed: Bed) -> None:
    """G37, the other half: an entry that leads to the ClusterIP itself is deleted."""
    pods = cluster(bed).pods
    serve(bed, type="ClusterIP", ports=(ServicePort(7, protocol="UDP"),))
    bed.up(changed(bed, pods=tuple(pod for pod in pods if pod.name == "client")))
    with socket_in(bed.store, "client", kind=socket.SOCK_DGRAM) as client:
        client.settimeout(PATIENCE_S)
        client.bind(("", 12346))
        client.connect((IP, 7))
        client.send(b"one")
        with pytest.raises(ConnectionRefusedError):
            client.recv(4096)

        bed.up(changed(bed, pods=pods))
        client.send(b"two")
        assert b'"pod": ' in client.recv(4096)


def test_a_load_balancers_source_ranges_let_only_them_in(bed: Bed) -> None:
    """G33: where a load balancer has an address, and its nodes see who calls."""
    ranges = [f"{bed.pod('web-0').ip}/32"]
    [service] = parse_manifests(
        {
            "lb.yaml": f"""
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec:
  type: LoadBalancer
  clusterIP: {IP}
  selector: {{app: web}}
  ports: [{{port: 80}}]
  loadBalancerSourceRanges: {ranges}
status: {{loadBalancer: {{ingress: [{{ip: 203.0.113.99}}]}}}}
"""
        }
    ).services
    bed.up(changed(bed, services=(service,)))

    assert everyone(bed, "web-0", "203.0.113.99") == ALL
    assert who(bed.briefly, "client", "203.0.113.99") == "timeout"
    assert everyone(bed, "client") == ALL, "by the ClusterIP everybody may"
    bed.up(changed(bed, services=()))
    assert not bed.drift()
