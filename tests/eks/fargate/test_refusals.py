"""What EKS refuses of a Fargate profile, and of a pod that is to run on one."""

from dataclasses import replace

import pytest

from testbed.allocations import allocate
from testbed.description.ports import Port, Protocol
from testbed.eks.fargate.checks import problems
from testbed.errors import AwsError, DescriptionError
from testbed.kubernetes.model import Container, Pod
from testbed.load import parse
from tests.eks.fargate.on_fargate import FILE, VPC, cluster, lab, profile


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


@pytest.mark.parametrize("case", REFUSED)
def test_what_eks_refuses_is_refused_with_file_line_and_key(case: str) -> None:
    body, message = REFUSED[case]
    with pytest.raises(DescriptionError, match=message) as refused:
        parse(FILE % body, "f.yaml")
    assert str(refused.value).startswith("f.yaml:16: ")


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
