"""Which subnet ipamD's ENIs are in: the node's, a tagged one, or the one of an ENIConfig."""

from dataclasses import replace
from ipaddress import IPv4Network
from typing import Any

import pytest
from pydantic import TypeAdapter

from testbed.allocations import Allocations, allocate
from testbed.eks.eni_config import eni_config_name
from testbed.eks.environment import CniSettings
from testbed.eks.model import EksCluster, EniConfig, Profile
from testbed.kubernetes.model import Node, Pod
from testbed.lab import Lab
from testbed.lab.checks import problems, warnings
from testbed.plan.security import memberships
from testbed.vpc.fabric.metadata import identifier
from testbed.vpc.model import Subnet, Vpc
from testbed.vpc.security.model import SecurityGroup

BOTH = pytest.mark.parametrize("profile", ["slides", "current"])
ROLE, CLUSTER = "kubernetes.io/role/cni", "cni.networking.k8s.aws/cluster/"
CUSTOM = {"AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG": "true"}
KEY = "k8s.amazonaws.com/eniConfig"


HOME = Subnet("home", IPv4Network("10.0.0.0/28"), "us-west-2a")  # eleven addresses
WIDE = Subnet("wide", IPv4Network("10.0.1.0/24"), "us-west-2a")
FAR = Subnet("far", IPv4Network("10.0.2.0/24"), "us-west-2b")
NODE = Node("n1", "home", "t3.small")


def lab(
    *subnets: Subnet,
    pods: int = 4,
    node: Node = NODE,
    profile: Profile = "current",
    configs: tuple[EniConfig, ...] = (),
    env: dict[str, Any] | None = None,
) -> Lab:
    cluster = EksCluster(
        "eks",
        "main",
        (node,),
        Pod.replicas("p", pods),
        profile=profile,
        env=TypeAdapter(CniSettings).validate_python(env or {}),
        eni_configs=configs,
    )
    vpc = Vpc("main", (IPv4Network("10.0.0.0/16"),), (HOME, *subnets))
    return Lab("test", (vpc,), (cluster,))


def tagged(place: Subnet, value: str, *clusters: str) -> Subnet:
    return replace(place, tags={ROLE: value} | {CLUSTER + name: "shared" for name in clusters})


def where(found: Allocations) -> list[str]:
    """The subnets of eth0, eth1, eth2."""
    return [eni.subnet for eni in found.enis]


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        (WIDE, ["home", "home"]),  # no tag: not for pods
        (tagged(WIDE, "1"), ["home", "wide", "wide"]),  # more free addresses than home
        (tagged(WIDE, "0"), ["home", "home"]),
        (tagged(WIDE, ""), ["home", "home"]),
        (tagged(FAR, "1"), ["home", "home"]),  # another zone
        (tagged(WIDE, "1", "other"), ["home", "home"]),
        (tagged(WIDE, "1", "other", "mine"), ["home", "wide", "wide"]),
    ],
)
def test_another_subnet_of_the_zone_is_used_if_its_tags_say_so(
    place: Subnet, expected: list[str]
) -> None:
    found = allocate(lab(place, env={"CLUSTER_NAME": "mine"}))

    assert where(found) == expected


@pytest.mark.parametrize(
    ("profile", "env"), [("slides", {}), ("current", {"ENABLE_SUBNET_DISCOVERY": "false"})]
)
def test_without_discovery_enis_are_in_the_node_s_subnet(
    profile: Profile, env: dict[str, str]
) -> None:
    found = allocate(lab(tagged(WIDE, "1"), profile=profile, env=env))

    assert set(where(found)) == {"home"}


def test_a_full_subnet_is_left_for_another() -> None:
    """Home has eleven addresses: eth0 takes four, then wide has more."""
    found = allocate(lab(tagged(WIDE, "1"), pods=9))

    assert where(found) == ["home", "wide", "wide"]
    assert found.pending == ()


def test_a_closed_subnet_keeps_pods_off_eth0() -> None:
    """The node is in it, its pods are not."""
    wanted = lab(tagged(WIDE, "1"), pods=2)
    [vpc] = wanted.vpcs
    closed = replace(vpc, subnets=(tagged(HOME, "0"), tagged(WIDE, "1")))

    found = allocate(replace(wanted, vpcs=(closed,)))

    assert where(found) == ["home", "wide", "wide"]
    assert found.enis[0].secondary == ()
    assert {pod.device_index for pod in found.pods} == {1}
    alone = allocate(replace(wanted, vpcs=(replace(vpc, subnets=(tagged(HOME, "0"),)),)))
    assert {one.reason.rpartition(": ")[2] for one in alone.pending} == {
        "no valid subnets available for ENI creation"
    }


@BOTH
def test_custom_networking_gives_pods_the_eniconfig_s_subnet(profile: Profile) -> None:
    configs = (EniConfig("default", "wide"),)

    found = allocate(lab(WIDE, pods=4, profile=profile, configs=configs, env=CUSTOM))

    assert where(found) == ["home", "wide", "wide"]
    assert found.enis[0].secondary == ()
    assert {pod.device_index for pod in found.pods} == {1, 2}
    assert all(pod.ip in WIDE.cidr for pod in found.pods)


@BOTH
def test_custom_networking_leaves_room_for_an_eni_less(profile: Profile) -> None:
    """Two ENIs of three: the seventh pod is not even scheduled."""
    configs = (EniConfig("default", "wide"),)

    found = allocate(lab(WIDE, pods=7, profile=profile, configs=configs, env=CUSTOM))

    assert [one.reason for one in found.pending] == ["0/1 nodes are available: 1 Too many pods."]


@BOTH
def test_without_its_eniconfig_a_node_has_no_address_for_pods(profile: Profile) -> None:
    wanted = lab(WIDE, profile=profile, configs=(EniConfig("other", "wide"),), env=CUSTOM)

    found = allocate(wanted)

    assert where(found) == ["home"]
    assert {one.reason for one in found.pending} == {
        "failed to assign an IP address to container: eniconfig: eniconfig is not available"
    }
    assert 'no ENIConfig "default"' in next(warnings(wanted)).message


def test_an_eniconfig_of_another_zone_is_no_use() -> None:
    wanted = lab(FAR, configs=(EniConfig("default", "far"),), env=CUSTOM)

    assert "InvalidParameterValue" in allocate(wanted).pending[0].reason
    assert "another zone" in next(warnings(wanted)).message


def test_switched_on_later_custom_networking_changes_no_eni() -> None:
    """Pods keep their addresses on eth0, and what is free there is given out as before."""
    before = allocate(lab(WIDE, pods=2))

    after = allocate(
        lab(WIDE, pods=3, configs=(EniConfig("default", "wide"),), env=CUSTOM), before
    )

    assert after.pods[:2] == before.pods
    assert where(after)[:2] == where(before)


@pytest.mark.parametrize(
    ("labels", "annotations", "env", "name"),
    [
        ({}, {}, {}, "default"),
        ({KEY: "l"}, {}, {}, "l"),
        ({KEY: "l"}, {KEY: "a"}, {}, "a"),
        ({"vpc.amazonaws.com/externalEniConfig": "x"}, {KEY: "a"}, {}, "x"),
        ({}, {}, {"ENI_CONFIG_LABEL_DEF": "topology.kubernetes.io/zone"}, "us-west-2a"),
        ({}, {}, {"ENI_CONFIG_LABEL_DEF": "failure-domain.beta.kubernetes.io/zone"}, "us-west-2a"),
        ({"my": "l", KEY: "k"}, {}, {"ENI_CONFIG_LABEL_DEF": "my"}, "l"),
        ({KEY: "l"}, {"my": "a"}, {"ENI_CONFIG_ANNOTATION_DEF": "my"}, "a"),
        ({KEY: "l"}, {KEY: "a"}, {"ENI_CONFIG_ANNOTATION_DEF": ""}, "a"),
        ({KEY: ""}, {}, {}, ""),
    ],
)
def test_the_name_of_a_node_s_eniconfig(
    labels: dict[str, str], annotations: dict[str, str], env: dict[str, str], name: str
) -> None:
    """The annotation comes before the label, a label of its own before both."""
    node = Node("n1", "home", "t3.small", labels=labels, annotations=annotations)
    [cluster] = lab(node=node, env=env).clusters
    assert isinstance(cluster, EksCluster)

    assert eni_config_name(cluster, node, HOME) == name


def test_v1_5_does_not_know_the_external_label() -> None:
    node = Node("n1", "home", "t3.small", labels={"vpc.amazonaws.com/externalEniConfig": "x"})
    [cluster] = lab(node=node, profile="slides").clusters
    assert isinstance(cluster, EksCluster)

    assert eni_config_name(cluster, node, HOME) == "default"


def test_an_eniconfig_is_in_a_subnet_of_the_vpc() -> None:
    wanted = lab(WIDE, FAR, configs=(EniConfig("default", "wife"),))

    [problem] = problems(wanted)

    assert problem.key == "clusters.eks.eniConfigs.default.subnet"
    assert problem.message == 'there is no subnet "wife"; did you mean "wide"?'


def test_an_eniconfig_s_security_groups_are_those_of_the_enis_for_pods() -> None:
    """Not of eth0; without any they are the node's."""
    configs = (EniConfig("default", "wide", ("pods",)),)
    wanted = lab(WIDE, configs=configs, env=CUSTOM)
    described = replace(wanted.vpcs[0], security_groups=(SecurityGroup("pods"),))

    found = memberships(replace(wanted, vpcs=(described,)))

    assert found["n1/1"] == found["n1/2"] == ("pods",)
    assert (found["n1"], "n1/0" in found) == (("eks-cluster-sg-eks",), False)
    assert "n1/1" not in memberships(lab(WIDE, configs=configs))
    [problem] = [one for one in problems(wanted) if "eniConfigs" in one.key]
    assert problem.key == "clusters.eks.eniConfigs.default.securityGroups[0]"
    assert problem.code == "InvalidGroup.NotFound"


def test_prefixes_on_an_instance_without_them_are_warned_of() -> None:
    node = Node("n1", "home", "m4.large")
    wanted = lab(node=node, env={"ENABLE_PREFIX_DELEGATION": "true"})

    assert "not supported on non-nitro instance m4.large" in next(warnings(wanted)).message
    assert allocate(wanted).enis[0].prefixes == ()


def test_an_eni_config_may_have_ids_as_the_metadata_tells_them():
    """What `aws ec2 describe-subnets` would print: real ENIConfigs have nothing else."""
    subnet = identifier("subnet", "main", "wide")
    found = allocate(lab(WIDE, configs=(EniConfig("default", subnet),), env=CUSTOM))

    assert where(found)[:2] == ["home", "wide"]


def test_an_eni_config_that_comes_later_lets_waiting_pods_run():
    before = allocate(lab(WIDE, env=CUSTOM))
    after = allocate(lab(WIDE, configs=(EniConfig("default", "wide"),), env=CUSTOM), before)

    assert (len(before.pods), len(before.pending)) == (0, 4)
    assert "eniconfig is not available" in before.pending[0].reason
    assert (len(after.pods), after.pending) == (4, ())
