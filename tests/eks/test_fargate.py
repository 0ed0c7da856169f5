"""Pods on Fargate: which ones, in which subnets, what EKS refuses of it, what is kept."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from testbed.allocations import Allocations, allocate
from testbed.daemon.shown.described.service import named
from testbed.daemon.shown.places import places
from testbed.daemon.shown.views import rows
from testbed.description.ports import Port, Protocol
from testbed.eks.fargate.checks import problems
from testbed.eks.fargate.profiles import CHOSEN, on_fargate
from testbed.eks.model import ControlPlane, EksCluster, FargateProfile, FargateSelector
from testbed.errors import AwsError, DescriptionError
from testbed.kubernetes.model import Container, Node, Pod
from testbed.lab import Lab
from testbed.lab.checks import check
from testbed.load import load, parse
from testbed.net.facts import Netns
from testbed.plan import endpoints, listeners, plan, resolvers
from testbed.plan.security import memberships
from testbed.vpc.model import RouteEntry, RouteTable, Subnet, Vpc

VPC = Vpc(
    "main",
    (IPv4Network("10.0.0.0/16"),),
    (
        Subnet("out", IPv4Network("10.0.9.0/24"), "us-west-2a", route_table="public"),
        Subnet("a", IPv4Network("10.0.1.0/28"), "us-west-2a"),
        Subnet("b", IPv4Network("10.0.2.0/28"), "us-west-2b"),
    ),
    (RouteTable("public", (RouteEntry(IPv4Network("0.0.0.0/0"), "internet-gateway"),)),),
)
ALL = (FargateSelector("default"),)
FULL = 11  # addresses of a /28 that AWS does not keep


def profile(*selectors: FargateSelector, name: str = "one", **more: object) -> FargateProfile:
    return FargateProfile(name, selectors or ALL, **more)  # type: ignore[arg-type]


def cluster(*pods: Pod, profiles: tuple[FargateProfile, ...] = (profile(),)) -> EksCluster:
    nodes = (Node("node-1", "out", "t3.small"),)
    return EksCluster("eks", "main", nodes, pods, fargate_profiles=profiles)


def lab(*pods: Pod, profiles: tuple[FargateProfile, ...] = (profile(),)) -> Lab:
    return check(Lab("lab", (VPC,), (cluster(*pods, profiles=profiles),)))


def homes(allocations: Allocations) -> dict[str, str]:
    """The subnet of each pod's own network interface."""
    own = {at.pod for at in allocations.pods if at.on_fargate}
    return {eni.instance: eni.subnet for eni in allocations.enis if eni.instance in own}


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        (FargateSelector("default"), ["web", "db"]),
        (FargateSelector("kube-*"), ["kube-system.dns"]),
        (FargateSelector("d?fault", {"tier": "b*"}), ["db"]),
        (FargateSelector("default", {"tier": "back", "zone": "x"}), []),
        (FargateSelector("default", {"app": "web"}), ["web"]),
        (FargateSelector("[d]efault"), []),
    ],
)
def test_a_selector_is_a_namespace_and_labels(
    selector: FargateSelector, selected: list[str]
) -> None:
    pods = (
        Pod("web"),
        Pod("db", labels={"tier": "back"}),
        Pod("dns", namespace="kube-system"),
        Pod("bound", node="node-1", labels={"tier": "back"}),
    )
    assert list(on_fargate(cluster(*pods, profiles=(profile(selector),)))) == selected


def test_of_several_profiles_a_label_chooses_else_the_first_by_name() -> None:
    pods = (
        Pod("any"),
        Pod("told", labels={CHOSEN: "two"}),
        Pod("wrong", labels={CHOSEN: "three"}),
    )
    profiles = profile(name="two"), profile(name="one")
    found = on_fargate(cluster(*pods, profiles=profiles))

    assert {name: one.name for name, one in found.items()} == {"any": "one", "told": "two"}


def test_without_subnets_a_profile_has_the_private_ones() -> None:
    """The emptiest is next: the pods are spread over the zones."""
    assert homes(allocate(lab(*Pod.replicas("web", 3)))) == {
        "web-0": "a",
        "web-1": "b",
        "web-2": "a",
    }
    only_b = profile(subnets=("b",))
    assert set(homes(allocate(lab(*Pod.replicas("web", 3), profiles=(only_b,)))).values()) == {"b"}


def test_a_pod_is_its_node_and_takes_no_room_of_others() -> None:
    pods = Pod.replicas("web", 14)  # a t3.small takes 11
    allocations = allocate(lab(*pods))

    assert not allocations.pending
    assert all(at.node == at.pod and at.ip for at in allocations.pods)
    [node, *alone] = rows("nodes", lab(*pods), allocations)
    assert (node["name"], node["pods"]) == ("node-1", "0/11")
    assert (alone[0]["name"], alone[0]["type"], alone[0]["pods"]) == (
        "fargate-ip-10-0-1-4.us-west-2.compute.internal",
        "fargate",
        "1/1",
    )
    [first, *_] = rows("pods", lab(*pods), allocations)
    assert (first["node"], first["ip"], first["eni"]) == (alone[0]["name"], "10.0.1.4", "eth0")


def test_in_a_full_subnet_a_pod_waits() -> None:
    narrow = profile(subnets=("b",))
    allocations = allocate(lab(*Pod.replicas("web", FULL + 1), profiles=(narrow,)))

    assert len(allocations.pods) == FULL
    [waiting] = allocations.pending
    assert (waiting.pod, waiting.node) == (f"web-{FULL}", "")
    assert "insufficient" in waiting.reason.lower()


@pytest.mark.parametrize(
    ("containers", "reason"),
    [
        ((Container("app"),), "HostNetwork, port contains HostIP or HostPort"),
        ((Container("app", ()),), "HostNetwork"),
    ],
)
def test_fargate_takes_no_pod_with_host_network(
    containers: tuple[Container, ...], reason: str
) -> None:
    pod = Pod("agent", host_network=True, containers=containers)
    [waiting] = allocate(lab(pod)).pending

    assert waiting.reason == f"Pod not supported on Fargate: fields not supported: {reason}"


def test_fargate_takes_no_pod_with_host_ports() -> None:
    pod = Pod("agent", containers=(Container("app", (Port(80, host_port=8080),)),))
    [waiting] = allocate(lab(pod)).pending

    assert waiting.reason == (
        "Pod not supported on Fargate: fields not supported: port contains HostIP or HostPort"
    )


def test_what_was_given_is_kept_as_long_as_the_profile_allows_it() -> None:
    before = allocate(lab(*Pod.replicas("web", 3)))
    fewer = lab(*Pod.replicas("web", 3)[1:], Pod("new"))
    after = allocate(fewer, before)
    kept = {at.pod: at.ip for at in after.pods}

    assert all(kept[at.pod] == at.ip for at in before.pods if at.pod != "web-0")
    assert kept["new"] == IPv4Address("10.0.1.4"), "web-0's is free again"
    assert allocate(fewer, after) == after

    moved = allocate(lab(*Pod.replicas("web", 3), profiles=(profile(subnets=("b",)),)), before)
    assert set(homes(moved).values()) == {"b"}


def test_a_pod_moves_between_fargate_and_nodes() -> None:
    on, off = lab(Pod("web")), lab(Pod("web"), profiles=())
    there = allocate(on)
    back = allocate(off, there)

    assert [at.node for at in back.pods] == ["node-1"]
    assert homes(back) == {}
    assert [eni.instance for eni in back.enis if eni.instance == "web"] == []
    assert allocate(on, back).pods == there.pods


def test_it_has_the_cluster_security_group_and_a_kubelet() -> None:
    planned = replace(cluster(Pod("web")), control_plane=ControlPlane())
    there = check(Lab("lab", (VPC,), (planned,)))

    assert memberships(there)["web"] == ("eks-cluster-sg-eks",)
    served = {one.port for one in listeners(there, allocate(there)) if one.netns == "web"}
    assert served == {7, 80, 10249, 10250, 10256}


def test_it_asks_the_resolver_as_pods_do(topologies: Path) -> None:
    there = load(topologies / "fargate.yaml")
    texts = resolvers(there, allocate(there))

    assert "search batch.svc.cluster.local" in texts["batch.job-0"]
    assert texts["lone"] == texts["client"]


def test_probes_and_drawings_know_it(topologies: Path) -> None:
    there = load(topologies / "fargate.yaml")
    allocations = allocate(there)
    known = {place.ns: place for place in places(there, allocations)}
    lone, client = known["lone"], known["client"]

    assert (lone.kind, lone.inside, lone.devices) == ("pod", "vpc-main", ("eth0",))
    assert lone.detail == "Fargate · us-west-2a"
    assert (client.kind, client.inside) == ("pod", "node-1")
    assert {fact.ns for fact in plan(there, allocations) if isinstance(fact, Netns)} <= set(known)
    ends = {end.name: end for end in endpoints(there, allocations)}
    assert (ends["lone"].control_netns, ends["client"].control_netns) == ("", "node-1")


def test_a_profile_is_not_named_like_eks_own() -> None:
    """eksctl checks it too, before it asks the API."""
    [found] = problems(cluster(profiles=(profile(name="eks-batch"),)), VPC)

    assert (found.key, found.code) == ("fargateProfiles.eks-batch", "InvalidParameterException")


IT = r"f.yaml:16: clusters.eks.fargateProfiles.one\."
REFUSED = {
    "a public subnet": (
        "{ selectors: [{ namespace: x }], subnets: [a, out] }",
        IT + r"subnets\[1\]: Subnet out provided in Fargate Profile is not a private subnet:.*"
        r"\(InvalidParameterException\)",
    ),
    "no such subnet": (
        "{ selectors: [{ namespace: x }], subnets: [c] }",
        IT + r"subnets\[0\]: .*\(InvalidParameterException\)",
    ),
    "a subnet twice": (
        "{ selectors: [{ namespace: x }], subnets: [a, a] }",
        IT + r"subnets: .*twice \(InvalidParameterException\)",
    ),
    "no selector": (
        "{ selectors: [] }",
        IT + r"selectors: .* 1 to 5 .* 0 \(InvalidParameterException\)",
    ),
    "too many": (
        f"{{ selectors: [{', '.join(['{ namespace: x }'] * 6)}] }}",
        IT + r"selectors: .*not 6 \(InvalidParameterException\)",
    ),
    "too many labels": (
        "{ selectors: [{ namespace: x, labels: { a: x, b: x, c: x, d: x, e: x, f: x } }] }",
        IT + r"selectors\[0\].labels: .*\(InvalidParameterException\)",
    ),
    "no namespace": (
        "{ selectors: [{ labels: {} }] }",
        r"one.selectors\[0\].namespace: .*missing",
    ),
    "an empty namespace": ("{ selectors: [{ namespace: '' }] }", r"selectors\[0\].namespace"),
    "an unknown key": ("{ selectors: [{ namespace: x }], subnet: a }", "one.subnet: unknown key"),
    "no map": ("[]", "f.yaml:16: clusters.eks.fargateProfiles.one: expected a map"),
}
FILE = """\
testbed: v1
name: lab
vpcs:
  main:
    cidrs: [10.0.0.0/16]
    subnets:
      out: { cidr: 10.0.9.0/24, availabilityZone: us-west-2a, routeTable: public }
      a: { cidr: 10.0.1.0/24, availabilityZone: us-west-2b }
    routeTables:
      public: { 0.0.0.0/0: internet-gateway }
clusters:
  eks:
    vpc: main
    nodes: {}
    fargateProfiles:
      one: %s
    pods:
      web: { namespace: x }
    services:
      web: { selector: { app: web }, ports: [80] }
"""


@pytest.mark.parametrize("case", REFUSED)
def test_what_eks_refuses_is_refused_with_file_line_and_key(case: str) -> None:
    body, message = REFUSED[case]
    with pytest.raises(DescriptionError, match=message) as refused:
        parse(FILE % body, "f.yaml")
    assert str(refused.value).startswith("f.yaml:16: ")


def test_a_cluster_without_nodes_runs_on_fargate_alone() -> None:
    there = parse(FILE % "{ selectors: [{ namespace: x }] }", "f.yaml")

    allocations = allocate(there)
    assert homes(allocations) == {"x.web": "a"}
    [(_, _, place)] = named(there, allocations, "web")
    assert place == "x.web", "its own kube-proxy is the only one"


def test_a_cluster_in_public_subnets_has_no_profile() -> None:
    public = replace(cluster(), subnets=("out",))
    [found] = problems(public, VPC)

    assert (found.key, found.code) == ("fargateProfiles.one", "InvalidParameterException")


def test_profiles_are_few_and_their_names_differ() -> None:
    many = tuple(profile(name=f"p{i}") for i in range(11))
    assert [one.code for one in problems(cluster(profiles=many), VPC)] == [
        "ResourceLimitExceededException"
    ]
    assert [one.code for one in problems(cluster(profiles=(profile(), profile())), VPC)] == [
        "ResourceInUseException"
    ]


def test_a_pod_with_one_interface_asks_for_no_other() -> None:
    [found] = problems(cluster(Pod("web", eni=1)), VPC)
    assert found.key == "pods.web.eni"


@pytest.mark.parametrize(
    ("protocol", "key"), [("http", "pods.web.containers.app.ports[1]"), ("udp", "")]
)
def test_kubelet_has_its_port_already(protocol: Protocol, key: str) -> None:
    """Where a pod has its node's network for itself, it shares that with kubelet."""
    ports = (Port(80, "http"), Port(10250, protocol))
    pod = Pod("web", containers=(Container("app", ports),))

    assert [one.key for one in problems(cluster(pod), VPC)] == ([key] if key else [])
    assert not list(problems(cluster(replace(pod, node="node-1")), VPC))


def test_an_error_of_aws_has_its_code() -> None:
    with pytest.raises(AwsError, match="not a private subnet"):
        lab(profiles=(profile(subnets=("out",)),))
