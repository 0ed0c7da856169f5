"""Which ports running pods serve and where, and how they stand in a matrix."""

from ipaddress import IPv4Address

from testbed.description.ports import Port
from testbed.kubernetes.endpoints import endpoints, listeners
from testbed.kubernetes.model import Container, Pod
from testbed.kubernetes.placement import PodAddress
from testbed.net.served.endpoints import Endpoint, Listener

NODE = IPv4Address("10.0.1.10")
POD = IPv4Address("10.0.1.11")


def test_every_port_of_every_container_listens_in_the_pods_namespace() -> None:
    pod = Pod(
        "web-0",
        containers=(
            Container("app", (Port(80, "http"),)),
            Container("agent", (Port(53, "udp"), Port(9, "tcp"))),
        ),
    )

    found = listeners([pod], [PodAddress("web-0", "demo", "node-1", 0, POD)])

    assert found == (
        Listener(
            netns="web-0", port=80, protocol="http", pod="web-0", node="node-1", container="app"
        ),
        Listener(
            netns="web-0", port=53, protocol="udp", pod="web-0", node="node-1", container="agent"
        ),
        Listener(
            netns="web-0", port=9, protocol="tcp", pod="web-0", node="node-1", container="agent"
        ),
    )


def test_a_host_network_pod_listens_in_its_nodes_namespace() -> None:
    pod = Pod("proxy", namespace="kube-system", host_network=True)
    placement = PodAddress("kube-system.proxy", "demo", "node-1", 0, NODE, host_network=True)

    found = listeners([pod], [placement])

    assert {(one.netns, one.pod) for one in found} == {("node-1", "kube-system.proxy")}


def test_a_pod_without_a_place_serves_nothing() -> None:
    assert listeners([Pod("pending")], []) == ()
    assert endpoints([Pod("pending")], [], {}) == ()


def test_a_pod_has_its_node_as_control_and_a_host_network_pod_has_none() -> None:
    pods = [Pod("web-0"), Pod("proxy", host_network=True)]
    placements = [
        PodAddress("web-0", "demo", "node-1", 0, POD),
        PodAddress("proxy", "demo", "node-1", 0, NODE, host_network=True),
    ]

    assert endpoints(pods, placements, {"node-1": NODE}) == (
        Endpoint(
            name="web-0",
            netns="web-0",
            address=POD,
            tcp_port=7,
            http_port=80,
            control_netns="node-1",
            control_address=NODE,
        ),
        Endpoint(name="proxy", netns="node-1", address=NODE, tcp_port=7, http_port=80),
    )


def test_an_http_port_takes_tcp_probes_too() -> None:
    pod = Pod("web-0", containers=(Container("app", (Port(8080, "http"),)),))

    [found] = endpoints([pod], [PodAddress("web-0", "demo", "node-1", 0, POD)], {})

    assert [found.port(protocol) for protocol in ("icmp", "tcp", "http")] == [0, 8080, 8080]


def test_a_pod_without_ports_can_only_be_pinged() -> None:
    pod = Pod("web-0", containers=(Container("app", ()),))

    [found] = endpoints([pod], [PodAddress("web-0", "demo", "node-1", 0, POD)], {})

    assert [found.port(protocol) for protocol in ("icmp", "tcp", "http")] == [0, None, None]
