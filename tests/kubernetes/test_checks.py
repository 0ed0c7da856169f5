"""What Kubernetes would refuse of nodes and pods is refused here, with the place to look."""

from ipaddress import IPv4Address

import pytest
from pydantic import ValidationError

from testbed.description.ports import Port
from testbed.description.problem import Problem
from testbed.kubernetes.checks import problems
from testbed.kubernetes.kube_proxy import KubeProxy
from testbed.kubernetes.model import Container, Node, Pod

NODES = (Node("node-1", "a", "t3.small"), Node("node-2", "a", "t3.small"))


def only(*pods: Pod, nodes: tuple[Node, ...] = NODES) -> Problem:
    """The one thing wrong."""
    found = list(problems(nodes, pods))
    assert len(found) == 1, found
    return found[0]


def test_two_containers_of_a_pod_cannot_have_one_port() -> None:
    """HTTP is TCP: they share the pod's network namespace, so the second cannot listen."""
    app = Container("app", (Port(8080, "http"),))
    proxy = Container("proxy", (Port(53, "udp"), Port(8080, "tcp")))

    problem = only(Pod("web", containers=(app, proxy)))

    assert problem.key == "pods.web.containers.proxy.ports[1]"
    assert problem.message == (
        'container "app" listens on TCP port 8080 already;'
        " the containers of a pod share its network namespace"
    )


def test_one_number_serves_tcp_and_udp() -> None:
    """DNS does."""
    dns = Container("dns", (Port(53, "tcp"), Port(53, "udp")))

    assert list(problems(NODES, (Pod("dns", containers=(dns,)),))) == []


def test_a_pod_asks_for_a_port_of_its_node_once() -> None:
    """TCP and UDP are two, and so are two addresses of the node."""
    own = IPv4Address("10.0.0.4")
    ports = (Port(80, "http", host_port=8080), Port(7, "udp", host_port=8080))
    more = (Port(81, "http", host_port=8080, host_ip=own), Port(82, "tcp", host_port=8080))

    problem = only(Pod("web", containers=(Container("app", ports), Container("more", more))))

    assert problem.key == "pods.web.containers.more.ports[1].hostPort"
    assert problem.message == "the pod has hostPort 8080 for TCP already"


def test_on_the_nodes_own_network_a_port_is_the_nodes() -> None:
    app = Container("app", (Port(80, "http", host_port=80), Port(81, "http", host_port=8081)))

    problem = only(Pod("web", host_network=True, containers=(app,)))

    assert problem.key == "pods.web.containers.app.ports[1].hostPort"
    assert problem.message == "must match `containerPort` when `hostNetwork` is true"


def test_pods_on_their_nodes_network_share_its_ports() -> None:
    """On another node, or off the node's network, the same port is free."""
    agent = Container("agent", (Port(9100, "http"),))
    host = Pod("a", node="node-1", host_network=True, containers=(agent,))
    elsewhere = Pod("b", node="node-2", host_network=True, containers=(agent,))
    own = Pod("c", node="node-1", containers=(agent,))
    clash = Pod("d", node="node-1", host_network=True, containers=(agent,))

    problem = only(host, elsewhere, own, clash)

    assert problem.key == "pods.d.containers.agent.ports[0]"
    assert problem.message.startswith('pod "a" listens on TCP port 9100 already')


def test_a_pods_node_is_there() -> None:
    """Kubernetes would keep it Pending for ever; here it is a slip."""
    problem = only(Pod("web", node="nod-1"))

    assert problem.key == "pods.web.node"
    assert problem.message == 'there is no node "nod-1"; did you mean "node-1"?'


@pytest.mark.parametrize("name", ["Web", "web_0", "web.0", "-web", "web-", "", "w" * 64, "wéb"])
def test_names_are_dns_labels(name: str) -> None:
    """RFC 1123; at most 63 characters."""
    assert only(Pod(name)).path == ("pods", name)
    assert only(Pod("web", namespace=name)).path == ("pods", f"{name}.web", "namespace")
    assert only(Pod("web", containers=(Container(name),))).path == (
        "pods",
        "web",
        "containers",
        name,
    )
    assert only(nodes=(Node(name, "a", "t3.small"),)).path == ("nodes", name)


@pytest.mark.parametrize("name", ["internet", "vpc-main", "igw-main"])
def test_names_of_the_vpcs_namespaces_are_kept(name: str) -> None:
    """`testbed exec vpc-main` must mean the router."""
    assert "is kept for a part of the VPC" in only(Pod(name)).message


def test_a_container_has_its_name_once() -> None:
    """A list may have it twice; a map cannot."""
    pod = Pod("web", containers=(Container("a", ()), Container("a", ())))

    assert only(pod).key == "pods.web.containers.a"


def test_a_pod_has_a_container() -> None:
    """Kubernetes: spec.containers is required."""
    assert only(Pod("web", containers=())).key == "pods.web.containers"


def test_a_pod_on_its_nodes_network_has_no_address_of_an_eni() -> None:
    """Two wishes that exclude each other."""
    assert only(Pod("web", node="node-1", host_network=True, eni=1)).key == "pods.web.eni"


@pytest.mark.parametrize("address", ["10256", "0.0.0.0", "node-1:10256", "0.0.0.0:0", ":10256"])
def test_where_kube_proxy_answers_is_an_address_and_a_port(address: str) -> None:
    """Or nothing, for nowhere."""
    with pytest.raises(ValidationError, match="expected an address and a port"):
        KubeProxy(healthz_bind_address=address)

    assert KubeProxy(healthz_bind_address="").healthz_bind_address == ""
