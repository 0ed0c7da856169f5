"""What Kubernetes promises of pods: all reach all as themselves, and may be behind Services."""

import re
import socket
from typing import Any

import pytest

from testbed.bed import Bed
from testbed.kubernetes.model import Container, Pod, Service, ServicePort
from testbed.probes.sockets import socket_in
from tests.routing.services.promises import ALL, IP, changed, cluster, everyone, serve, who
from tests.routing.services.promises import bed as bed
from tests.segments import connected
from tests.waiting import PATIENCE_S, wait_until

pytestmark = pytest.mark.kernel

PODS = ("web-0", "web-1", "far", "client")
NODES = ("na", "nb")
AGENT = {"app": "agent"}
CLOSE_WAIT_S = 3600  # kube-proxy --conntrack-tcp-timeout-close-wait


def seen_by_udp(bed: Bed, source: str, destination: str) -> tuple[str, str]:
    """Which pod answered a datagram, and from whom it says that came."""
    with socket_in(bed.store, source, kind=socket.SOCK_DGRAM) as client:
        client.settimeout(PATIENCE_S)
        client.connect((str(bed.address(destination)), 7))
        client.send(b"who")
        answer = client.recv(4096).decode()
        found = re.search(r'"pod": "([^"]+)".*"client": "([^:]+):', answer)
    assert found
    return found[1], found[2]


@pytest.mark.parametrize("source", [*PODS, *NODES])
def test_every_pod_and_node_reaches_every_pod(bed: Bed, source: str) -> None:
    """G1, G2, G40: HTTP and UDP; a pod is seen as itself."""
    for pod in PODS:
        answer = bed.http(source, pod).answer
        assert answer
        by_http = answer["pod"], str(answer["client"]).rpartition(":")[0]
        by_udp = seen_by_udp(bed, source, pod)
        assert by_http[0] == by_udp[0] == pod
        if source in PODS:
            assert by_http[1] == by_udp[1] == str(bed.address(source))


def test_services_may_share_pods_and_go_without_each_other(bed: Bed) -> None:
    """G10, G13: two Services of the same pods, and no address twice."""
    first, second = (Service(name, {"app": "web"}, (ServicePort(80),)) for name in ("one", "two"))
    bed.up(changed(bed, services=(first, second)))
    addresses = {one.service: str(one.cluster_ip) for one in bed.allocations.services}
    assert len(set(addresses.values())) == 2
    for address in addresses.values():
        assert everyone(bed, "client", address) == ALL

    bed.up(changed(bed, services=(second,)))

    assert who(bed.briefly, "client", addresses["one"]) == "timeout"
    assert everyone(bed, "client", addresses["two"]) == ALL


def test_endpoints_may_be_on_the_nodes_network(bed: Bed) -> None:
    """G10: service endpoints using hostNetwork."""
    before = cluster(bed).pods
    server = Container("s", before[0].containers[0].ports[:1])
    common: dict[str, Any] = {"host_network": True, "containers": (server,), "labels": AGENT}
    agents = tuple(Pod(f"agent-{node}", node=node, **common) for node in NODES)
    service = Service("agents", AGENT, (ServicePort(80),))
    bed.up(changed(bed, pods=(*before, *agents), services=(service,)))
    [given] = bed.allocations.services

    assert everyone(bed, "client", str(given.cluster_ip)) == {one.name for one in agents}
    bed.up(changed(bed, pods=before, services=()))


def test_half_closed_connections_are_remembered_for_an_hour(bed: Bed) -> None:
    """G39: set TCP CLOSE_WAIT timeout."""
    serve(bed, type="ClusterIP", ports=(ServicePort(80),))
    called = str(bed.address("client")), 8099

    def remembered() -> list[int]:
        listed = bed.run("na", "conntrack", "-L", "-p", "tcp", "--orig-port-dst", "8099").stdout
        return [int(left_s) for left_s in re.findall(r"(\d+) CLOSE_WAIT", listed)]

    with connected(bed.store, "web-0", "client", 8099, called) as (_, server):
        server.shutdown(socket.SHUT_WR)
        wait_until(lambda: bool(remembered()))
        assert CLOSE_WAIT_S - 60 <= remembered()[0] <= CLOSE_WAIT_S
    assert who(bed, "client", IP) in ALL, "control"
