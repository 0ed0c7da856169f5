"""kube-proxy's flags in a topology: what is refused, in words that a user knows."""

import pytest

from testbed.errors import DescriptionError
from testbed.lab import Lab
from testbed.load import parse

LAB = """
testbed: v1
name: flags
vpcs: { main: { cidrs: [10.0.0.0/16], subnets: { a: { cidr: 10.0.1.0/24,
        availabilityZone: us-west-2a } } } }
clusters:
  kops:
    kind: kops
    vpc: main
    nodes: { na: { subnet: a, instanceType: t3.medium } }
    kubeProxy: %s
"""


def lab(flags: str) -> Lab:
    return parse(LAB % flags, "flags.yaml")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            "{ clusterCidr: pods }",
            "clusterCidr: expected an IPv4 range such as 10.0.0.0/16, found",
        ),
        ("{ nodePortAddresses: [primry] }", "nodePortAddresses[0]: expected an IPv4 range"),
        (
            "{ era: current, nodePortAddresses: [primary, 10.0.0.0/16] }",
            "nodePortAddresses: primary stands alone",
        ),
        (
            '{ era: "1.14", nodePortAddresses: [primary] }',
            "nodePortAddresses: primary came with Kubernetes 1.29",
        ),
        ("{ masqueradeBit: 32 }", "masqueradeBit: expected a number up to 31"),
    ],
)
def test_a_flag_that_kube_proxy_would_refuse(flags: str, message: str) -> None:
    """TestValidateKubeProxyConfiguration, without the words of the library that checks types."""
    with pytest.raises(DescriptionError) as caught:
        lab(flags)

    assert f"flags.yaml:11: clusters.kops.kubeProxy.{message}" in str(caught.value)


def test_a_range_or_a_word_is_both() -> None:
    [cluster] = lab('{ era: current, clusterCidr: "", nodePortAddresses: [primary] }').clusters

    assert cluster.proxy.cluster_cidr == ""
    assert cluster.proxy.node_port_addresses == ("primary",)
