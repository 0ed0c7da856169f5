"""A VPC of bare instances, for questions about the fabric alone."""

from collections.abc import Iterator

import pytest

from testbed.bed import Bed
from testbed.bed import bed as bring_up
from testbed.load import parse

FABRIC = """
testbed: v1
name: fabric
vpcs:
  main:
    cidrs: [10.0.0.0/16]
    subnets:
      a: { cidr: 10.0.1.0/24, availabilityZone: us-west-2a }
      b: { cidr: 10.0.2.0/24, availabilityZone: us-west-2b }
    routeTables:
      main:
        172.20.0.0/16: checked
        172.20.9.0/24: appliance
        172.21.0.0/16: appliance
        172.21.9.0/24: blackhole
    instances:
      one: { subnet: a, privateIp: 10.0.1.10 }
      two: { subnet: a, privateIp: 10.0.1.20 }
      free: { subnet: a, privateIp: 10.0.1.30, sourceDestCheck: false }
      three: { subnet: b, privateIp: 10.0.2.10 }
      checked: { subnet: b, privateIp: 10.0.2.20 }
      appliance: { subnet: b, privateIp: 10.0.2.30, sourceDestCheck: false }
"""


@pytest.fixture(scope="module")
def fabric() -> Iterator[Bed]:
    """Six instances in two subnets, without security groups and ACLs."""
    with bring_up(parse(FABRIC, "fabric.yaml")) as up:
        yield up
