"""A lab of two VPCs and an office, in pieces that tests replace."""

from collections.abc import Callable

import pytest

from testbed.lab import Lab
from testbed.load import parse

TEXT = """testbed: v1
name: around
vpcs:
  main:
    cidrs: [10.0.0.0/16]
    virtualPrivateGateway: { propagateTo: [main] }
    subnets:
      main-a: { cidr: 10.0.1.0/24, availabilityZone: us-west-2a }
    routeTables:
      main: { 10.8.0.0/16: pcx }
    instances:
      app: { subnet: main-a }
  shared:
    cidrs: [10.8.0.0/16]
    subnets:
      shared-a: { cidr: 10.8.1.0/24, availabilityZone: us-west-2a }
    routeTables:
      main: { 10.0.0.0/16: pcx }
    instances:
      tools: { subnet: shared-a }
peerings:
  pcx: { requester: main, accepter: shared }
onPremises:
  office:
    cidrs: [192.168.0.0/16]
    hosts: { desk: 192.168.1.10 }
    connections:
      vpn: { gateway: main }
      dx: { gateway: main, type: direct-connect }
"""


@pytest.fixture
def around() -> Callable[..., Lab]:
    """The lab; each pair of texts replaces the first by the second."""

    def made(*changes: tuple[str, str]) -> Lab:
        text = TEXT
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new, 1)
        return parse(text, "around.yaml")

    return made
