"""The CNI's environment as the real one reads it: Go's booleans and numbers, forgiving lists."""

from dataclasses import replace
from ipaddress import IPv4Network
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from testbed.eks.environment import CniSettings
from testbed.errors import IgnoredSetting

SNAT = "AWS_VPC_K8S_CNI_EXTERNALSNAT"
MARK = "AWS_VPC_K8S_CNI_CONNMARK"
RANDOM = "AWS_VPC_K8S_CNI_RANDOMIZESNAT"
EXCLUDED = "AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS"
SERVICES = "AWS_EXTERNAL_SERVICE_CIDRS"


def env(**given: Any) -> CniSettings:
    return TypeAdapter(CniSettings).validate_python(given)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (True, True),
        ("T", True),
        ("1", True),
        ("False", False),
        ("0", False),
        ("", False),
    ],
)
@pytest.mark.filterwarnings("error")
def test_a_boolean_is_what_go_parses(written: Any, meant: bool) -> None:
    assert env(**{SNAT: written}).external_snat is meant


@pytest.mark.parametrize(
    ("written", "meant"),
    [("0x80", 0x80), ("128", 128), (64, 64), ("0200", 0x80), ("0o200", 0x80), ("0b1_0", 2)],
)
@pytest.mark.filterwarnings("error")
def test_a_mark_is_written_in_any_base(written: Any, meant: int) -> None:
    assert env(**{MARK: written}).connmark == meant


@pytest.mark.parametrize(
    ("name", "written", "message"),
    [
        (SNAT, "yes", 'EXTERNALSNAT: expected true or false, found "yes"; the CNI takes its defa'),
        (RANDOM, "fully", 'expected "prng", "hashrandom" or "none", found "fully"'),
        (MARK, "0", 'expected a number from 1 to 0xffffffff, found "0"; the CNI takes its defau'),
        (MARK, 1 << 32, "found the number 4294967296"),
        (MARK, "0x", 'found "0x"'),
        (MARK, " 5", 'found " 5"'),
        ("WARM_ENI_TARGET", "many", 'found "many"; the CNI takes its default, 1'),
        ("WARM_IP_TARGET", -1, "expected a number from 0, found the number -1"),
        ("MINIMUM_IP_TARGET", "1_0", 'expected a whole number, found "1_0"'),
        ("MAX_ENI", str(1 << 63), "expected a whole number"),
        ("ENABLE_PREFIX_DELEGATION", "on", "expected true or false"),
        (EXCLUDED, "all", 'EXCLUDE_SNAT_CIDRS: expected an IPv4 range, found "all"; the CNI skip'),
    ],
)
def test_what_the_cni_does_not_understand_is_its_default_and_a_warning(
    name: str, written: Any, message: str
) -> None:
    with pytest.warns(IgnoredSetting) as warned:
        settings = env(**{name: written})

    assert settings == CniSettings()
    assert message in str(warned[0].message)


def test_the_manifest_s_warm_prefix_is_not_the_default_of_the_program() -> None:
    """aws-node's manifest sets 1; ipamD takes 0 for what is no number."""
    with pytest.warns(IgnoredSetting):
        settings = env(WARM_PREFIX_TARGET="one")

    assert (CniSettings().warm_prefix_target, settings.warm_prefix_target) == (1, 0)


@pytest.mark.parametrize("name", [EXCLUDED, SERVICES])
def test_a_list_of_ranges_is_trimmed_and_what_is_no_ipv4_range_skipped(name: str) -> None:
    """parseCIDRString: bits of a host are cleared, IPv6 and bare addresses logged and skipped."""
    written = " 10.1.2.3/16, fd00::/8,10.9.9.9,172.16.0.0/255.240.0.0,,192.168.0.0/24 "

    with pytest.warns(IgnoredSetting) as warned:
        settings = env(**{name: written})

    given = settings.exclude_snat_cidrs if name == EXCLUDED else settings.external_service_cidrs
    assert given == (IPv4Network("10.1.0.0/16"), IPv4Network("192.168.0.0/24"))
    assert [str(one.message).split("found ")[1].split(";")[0] for one in warned] == [
        '"fd00::/8"',
        '"10.9.9.9"',
        '"172.16.0.0/255.240.0.0"',
    ]


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("AWS_VPC_ENI_MTU", "575"),
        ("POD_MTU", "9002"),
        ("AWS_VPC_ENI_MTU", "jumbo"),
        ("AWS_VPC_K8S_CNI_VETHPREFIX", "longer"),
        ("AWS_VPC_K8S_PLUGIN_LOG_FILE", "stdout"),
        ("AWS_VPC_K8S_PLUGIN_LOG_FILE", "/var/log/a\x00"),
        ("AWS_VPC_K8S_CNI_LOG_FILE", "\x00"),
        ("IP_COOLDOWN_PERIOD", "30s"),
        ("IP_COOLDOWN_PERIOD", "-1"),
        ("NETWORK_POLICY_ENFORCING_MODE", "loose"),
        (SNAT, []),
        (EXCLUDED, ["10.0.0.1/16"]),  # a list is ours, not the environment's: it may be exact
    ],
)
def test_what_keeps_aws_node_from_starting_is_an_error(name: str, written: Any) -> None:
    with pytest.raises(ValidationError):
        env(**{name: written})


@pytest.mark.parametrize(
    ("name", "written", "message"),
    [
        ("ENABLE_IPv4", "false", "clusters without IPv4 are not imitated by the testbed"),
        ("ENABLE_IPv6", "true", "IPv6 clusters are not imitated by the testbed"),
        ("ENABLE_V6_EGRESS", True, "IPv6 of pods is not imitated by the testbed"),
        ("ENABLE_MULTI_NIC", "1", "further network cards are not imitated by the testbed"),
        ("ENABLE_POD_ENI", "t", "pods with an ENI of their own are not imitated by the testbed"),
        ("NETWORK_POLICY_ENFORCING_MODE", "Strict", "network policies are not imitated"),
    ],
)
def test_what_would_change_packets_and_is_not_imitated_is_refused_by_name(
    name: str, written: Any, message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        env(**{name: written})


# amazon-vpc-cni-k8s v1.23.1, config/master/aws-k8s-cni.yaml
MANIFEST = {
    "ADDITIONAL_ENI_TAGS": "{}",
    "AWS_VPC_CNI_NODE_PORT_SUPPORT": "true",
    "AWS_VPC_ENI_MTU": "9001",
    "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG": "false",
    "AWS_VPC_K8S_CNI_EXTERNALSNAT": "false",
    "AWS_VPC_K8S_CNI_LOGLEVEL": "DEBUG",
    "AWS_VPC_K8S_CNI_LOG_FILE": "/host/var/log/aws-routed-eni/ipamd.log",
    "AWS_VPC_K8S_CNI_RANDOMIZESNAT": "prng",
    "AWS_VPC_K8S_CNI_VETHPREFIX": "eni",
    "AWS_VPC_K8S_PLUGIN_LOG_FILE": "/var/log/aws-routed-eni/plugin.log",
    "AWS_VPC_K8S_PLUGIN_LOG_LEVEL": "DEBUG",
    "DISABLE_INTROSPECTION": "false",
    "DISABLE_METRICS": "false",
    "DISABLE_NETWORK_RESOURCE_PROVISIONING": "false",
    "DISABLE_TCP_EARLY_DEMUX": "false",
    "ENABLE_IMDS_ONLY_MODE": "false",
    "ENABLE_IPv4": "true",
    "ENABLE_IPv6": "false",
    "ENABLE_MULTI_NIC": "false",
    "ENABLE_POD_ENI": "false",
    "ENABLE_PREFIX_DELEGATION": "false",
    "ENABLE_SUBNET_DISCOVERY": "true",
    "NETWORK_POLICY_ENFORCING_MODE": "standard",
    "VPC_CNI_VERSION": "v1.23.1",
    "WARM_ENI_TARGET": "1",
    "WARM_PREFIX_TARGET": "1",
    "MY_NODE_NAME": "node-1",
    "MY_POD_NAME": "aws-node-x",
}


@pytest.mark.filterwarnings("error")
def test_the_environment_of_the_real_manifest_is_ours_without_any() -> None:
    asked = env(**MANIFEST)
    named = replace(asked, cni_version=None, node_name=None, pod_name=None)

    assert replace(named, additional_eni_tags=None, randomize_snat="") == CniSettings()
    assert env(AWS_VPC_K8S_CNI_VETHPREFIX="").veth_prefix == "eni"


@pytest.mark.filterwarnings("error")
def test_what_eks_add_on_sets_beside_the_manifest_is_known() -> None:
    """As `kubectl describe daemonset aws-node` printed it of v1.21.1-eksbuild.5."""
    beside = {
        "ANNOTATE_POD_IP": "false",
        "CLUSTER_ENDPOINT": "https://example.gr7.us-west-2.eks.amazonaws.com",
        "CLUSTER_NAME": "eks",
        "VPC_ID": "vpc-0123456789abcdef0",
    }

    assert env(**MANIFEST | beside).cluster_name == "eks"


@pytest.mark.parametrize("path", ["", "/", "ipam.json", "/a/..", "/a/.", "/a/\0", "/a/b\n"])
def test_a_checkpoint_is_a_file_in_the_nodes_own_directory(path: str) -> None:
    """Its last part becomes a file of the lab: `..` would be a directory of all nodes."""
    with pytest.raises(ValidationError):
        env(AWS_VPC_K8S_CNI_BACKING_STORE=path)
