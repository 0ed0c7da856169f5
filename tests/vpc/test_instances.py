"""What is refused of bare instances, and which addresses they get."""

from ipaddress import IPv4Address

import pytest

from testbed.allocations import allocate
from testbed.errors import DescriptionError
from testbed.lab import Lab
from testbed.load import parse

LAB = """
testbed: v1
name: bare
vpcs:
  main:
    cidrs: [10.0.0.0/16]
    subnets:
      a: {{ cidr: 10.0.1.0/24, availabilityZone: us-west-2a, mapPublicIpOnLaunch: {public} }}
    instances:
      one: {instance}
"""


def lab(instance: str, *, public: str = "false") -> Lab:
    """A lab of one instance."""
    return parse(LAB.format(instance=instance, public=public), "bare.yaml")


@pytest.mark.parametrize(
    ("instance", "words"),
    [
        ("{ subnet: b }", 'bare.yaml:10: vpcs.main.instances.one.subnet: there is no subnet "b"'),
        ("{ subnet: a, privateIp: 10.0.1.1 }", "InvalidParameterValue"),
        ("{ subnet: a, privateIp: 10.0.2.9 }", "does not fall within the subnet's address range"),
        ("{ subnet: a, instanceType: t3.tiny }", "there is no instance type 't3.tiny'"),
        ("{ subnet: a, ports: [0] }", "instances.one.ports[0].number"),
        ("{ subnet: a, publicIP: true }", 'did you mean "publicIp"?'),
    ],
)
def test_what_ec2_would_refuse_is_refused_at_its_line(instance: str, words: str) -> None:
    with pytest.raises(DescriptionError) as refused:
        lab(instance)

    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("instance", "public", "has"),
    [
        ("{ subnet: a }", "false", False),
        ("{ subnet: a }", "true", True),
        ("{ subnet: a, publicIp: true }", "false", True),
        ("{ subnet: a, publicIp: false }", "true", False),
    ],
)
def test_an_instances_own_word_on_its_public_address_counts(
    instance: str, public: str, has: bool
) -> None:
    """AssociatePublicIpAddress overrides the subnet's MapPublicIpOnLaunch."""
    [eni] = allocate(lab(instance, public=public)).enis

    assert (eni.public_ip is not None) == has
    assert eni.primary == IPv4Address("10.0.1.4")
