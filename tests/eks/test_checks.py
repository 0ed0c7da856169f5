"""What EKS and EC2 would refuse of a cluster is refused here, with AWS's codes."""

from ipaddress import IPv4Address, IPv4Network

import pytest
from pydantic import TypeAdapter

from testbed.description.ports import Port
from testbed.description.problem import Problem
from testbed.eks.checks import enis, problems, warnings
from testbed.eks.environment import CniSettings
from testbed.eks.model import EksCluster
from testbed.kubernetes.cni.bandwidth import INGRESS
from testbed.kubernetes.model import Container, Node, Pod
from testbed.vpc.model import Subnet, Vpc

A = Subnet("a", IPv4Network("10.0.1.0/24"), "us-west-2a")
B = Subnet("b", IPv4Network("10.0.2.0/24"), "us-west-2b")
VPC = Vpc("main", (IPv4Network("10.0.0.0/16"),), (A, B))
DEFAULTS = CniSettings()
NODE = Node("node-1", "a", "t3.small")


def only(
    *nodes: Node, vpc: Vpc = VPC, pods: tuple[Pod, ...] = (), env: CniSettings = DEFAULTS
) -> Problem:
    """The one thing wrong with a cluster of these nodes."""
    cluster = EksCluster("eks", vpc="main", nodes=nodes, pods=pods, env=env)
    found = list(problems(cluster, vpc))
    assert len(found) == 1, found
    return found[0]


def test_a_cluster_wants_two_availability_zones() -> None:
    """In the words of the EKS API."""
    problem = only(NODE, vpc=Vpc("main", VPC.cidrs, (A,)))

    assert (problem.key, problem.code) == ("vpc", "InvalidParameterException")
    assert problem.message == (
        "Subnets specified must be in at least two different AZs;"
        ' those of VPC "main" are in us-west-2a'
    )


@pytest.mark.parametrize(
    ("cidr", "words"),
    [
        ("176.22.0.0/16", "inside 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16"),
        ("172.20.0.0/25", "a /12 to a /24"),
        ("10.0.5.0/24", 'overlaps 10.0.0.0/16 of VPC "main"'),
    ],
)
def test_services_have_a_private_range_of_their_own(cidr: str, words: str) -> None:
    """KubernetesNetworkConfigRequest; hashicorp/terraform-provider-aws #23645 meets the first."""
    cluster = EksCluster("eks", vpc="main", nodes=(NODE,), service_cidr=IPv4Network(cidr))

    [problem] = problems(cluster, VPC)

    assert (problem.key, problem.code) == ("serviceCidr", "InvalidParameterException")
    assert words in problem.message


def test_a_node_is_in_a_subnet_of_the_clusters_vpc() -> None:
    """The nearest one is offered."""
    problem = only(Node("node-1", "c", "t3.small"))

    assert problem.key == "nodes.node-1.subnet"
    assert problem.message == 'there is no subnet "c"; known: a, b'


def test_an_instance_type_is_one_that_ec2_has() -> None:
    """Its limits decide how many pods run."""
    problem = only(Node("node-1", "a", "t3.smal"))

    assert problem.key == "nodes.node-1.instanceType"
    assert "did you mean t3.small?" in problem.message


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("10.0.2.9", 'does not fall within the subnet\'s address range: "a" is 10.0.1.0/24'),
        ("10.0.1.0", "is in subnet's reserved address range"),
        ("10.0.1.3", "is in subnet's reserved address range"),
        ("10.0.1.255", "is in subnet's reserved address range"),
    ],
)
def test_a_nodes_address_can_be_had_in_its_subnet(address: str, words: str) -> None:
    """EC2 keeps the first four addresses and the last."""
    problem = only(Node("node-1", "a", "t3.small", private_ip=IPv4Address(address)))

    assert (problem.key, problem.code) == ("nodes.node-1.privateIp", "InvalidParameterValue")
    assert problem.message.startswith(f"Address {address} ")
    assert words in problem.message


def test_two_nodes_cannot_have_one_address() -> None:
    """The second is told who has it."""
    first = Node("node-1", "a", "t3.small", private_ip=IPv4Address("10.0.1.9"))
    second = Node("node-2", "a", "t3.small", private_ip=IPv4Address("10.0.1.9"))

    problem = only(first, second)

    assert (problem.key, problem.code) == ("nodes.node-2.privateIp", "InvalidIPAddress.InUse")
    assert problem.message == 'Address 10.0.1.9 is in use: "node-1" has it'


@pytest.mark.parametrize("node", ["node-1", ""])
def test_a_pods_eni_is_one_its_node_can_have(node: str) -> None:
    """A t3.small has three: 0, 1 and 2."""
    fits, too_many = Pod("fits", node=node, eni=2), Pod("web", node=node, eni=3)

    problem = only(NODE, pods=(fits, too_many))

    assert problem.key == "pods.web.eni"
    assert "at most 3 ENIs, number 0 to 2, so none is 3" in problem.message


def test_max_eni_lowers_what_a_node_can_have() -> None:
    """And so does it what a pod may ask for."""
    problem = only(NODE, pods=(Pod("web", eni=1),), env=CniSettings(max_eni=1))

    assert problem.key == "pods.web.eni"


def test_a_node_of_an_unknown_type_counts_with_one_eni() -> None:
    """It has a problem of its own already."""
    nodes = (NODE, Node("node-2", "a", "t3.smal"))

    assert enis(EksCluster("eks", vpc="main", nodes=nodes)) == {"node-1": 3, "node-2": 1}


@pytest.mark.parametrize("prefix", ["eth", "vlan", "lo"])
def test_v1_5_does_not_look_at_its_prefix(prefix: str) -> None:
    env = CniSettings(veth_prefix=prefix)
    cluster = EksCluster("eks", "main", (NODE,), profile="slides", env=env)

    assert list(problems(cluster, VPC)) == []


def test_prefixes_need_a_target_or_the_container_does_not_start() -> None:
    """amazon-vpc-cni-k8s v1.23, validateEnvVars; ipamD itself would take it."""
    env = CniSettings(prefix_delegation=True, warm_prefix_target=0)

    assert only(NODE, env=env).key == "env.WARM_PREFIX_TARGET"
    enough = CniSettings(prefix_delegation=True, warm_prefix_target=0, minimum_ip_target=1)
    assert list(problems(EksCluster("eks", "main", (NODE,), env=enough), VPC)) == []


@pytest.mark.parametrize("prefix", ["eth", "vlan", "lo"])
def test_pods_links_are_not_called_like_other_links(prefix: str) -> None:
    """The CNI refuses to start with these."""
    problem = only(NODE, env=CniSettings(veth_prefix=prefix))

    assert problem.key == "env.AWS_VPC_K8S_CNI_VETHPREFIX"


@pytest.mark.parametrize(
    ("profile", "backend", "env", "key", "message"),
    [
        (
            "slides",
            "nftables",
            {},
            "connmarkBackend",
            "amazon-vpc-cni-k8s v1.5.7 marks nothing in nat PREROUTING",
        ),
        (
            "current",
            "iptables",
            {"AWS_EXTERNAL_SERVICE_CIDRS": "10.1.0.0/16,10.1.2.0/16"},
            "env.AWS_EXTERNAL_SERVICE_CIDRS",
            "10.1.0.0/16 is there twice; ipamD fails at the second rule for it: it exists",
        ),
    ],
)
def test_settings_with_which_aws_node_does_not_come_up_are_refused(
    profile, backend, env, key, message
) -> None:
    settings = TypeAdapter(CniSettings).validate_python(env)
    cluster = EksCluster(
        "eks", "main", (NODE,), profile=profile, connmark_backend=backend, env=settings
    )

    [problem] = problems(cluster, VPC)

    assert (problem.key, problem.message) == (key, message)


@pytest.mark.parametrize("port", [61678, 61679])
def test_a_pod_on_its_node_s_network_cannot_have_aws_node_s_ports(port: int) -> None:
    pod = Pod("agent", host_network=True, containers=(Container("agent", (Port(port),)),))
    problem = only(NODE, pods=(pod,))

    assert problem.key == "pods.agent.containers.agent.ports[0]"
    assert f"listen tcp :{port}: bind: address already in use" in problem.message
    off = CniSettings(disable_metrics=True, disable_introspection=True)
    cluster = EksCluster("eks", "main", (NODE,), (pod,), env=off)
    assert list(problems(cluster, VPC)) == []


def test_a_pods_bandwidth_is_nobodys_business_without_a_plugin() -> None:
    """As on EKS: nothing happens, but here it is said; with the plugin more would."""
    pod = Pod("shop", annotations={INGRESS: "1M"})
    chained: CniSettings = TypeAdapter(CniSettings).validate_python(
        {"ENABLE_BANDWIDTH_PLUGIN": "true"}
    )

    [warning] = warnings(EksCluster("eks", "main", (NODE,), (pod,)), VPC)
    problem = only(NODE, pods=(pod,), env=chained)

    assert warning.path == problem.path == ("pods", "shop", "annotations", INGRESS)
    assert "has no effect" in warning.message
    assert "not imitated" in problem.message
