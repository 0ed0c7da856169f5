"""Datagrams in fragments inside a VPC: they pass, and rules for ports count for all of them.

AWS does not say what a later fragment, which has no ports, meets: taken for the whole datagram.
"""

import socket
from collections.abc import Callable

import pytest

from testbed.bed import Bed
from testbed.lab import Lab
from testbed.load import parse
from testbed.probes.sockets import socket_in
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.kernel

LAB = """
testbed: v1
name: fragments
vpcs:
  main:
    cidrs: [10.0.0.0/16]
    subnets:
      a: {{ cidr: 10.0.1.0/24, availabilityZone: us-west-2a {acl} }}
      b: {{ cidr: 10.0.2.0/24, availabilityZone: us-west-2b }}
    {filters}
    instances: {{ one: {{ subnet: a }}, two: {{ subnet: b }} }}
"""
GROUPS = "securityGroups: { default: { ingress: [{ protocol: udp, ports: 7, cidr: 0.0.0.0/0 }] } }"
ACLS = """networkAcls:
      ports:
        egress: [{ ruleNumber: 1, protocol: udp, ports: 7, cidr: 0.0.0.0/0, action: allow }]
        ingress:
          - { ruleNumber: 1, protocol: udp, ports: 1024-65535, cidr: 0.0.0.0/0, action: allow }"""
LONG = 20_000  # bytes: three frames
SILENCE_S = 0.3


@pytest.mark.parametrize(
    ("acl", "filters"),
    [("", ""), ("", GROUPS), (", networkAcl: ports", ACLS)],
    ids=["open", "security groups", "network ACLs"],
)
def test_a_datagram_in_fragments_is_judged_as_a_whole(
    beds: Callable[[Lab], Bed], acl: str, filters: str
) -> None:
    bed = beds(parse(LAB.format(acl=acl, filters=filters), "fragments.yaml"))

    assert answered(bed, 7, PATIENCE_S)
    assert not filters or not answered(bed, 8, SILENCE_S), "control: another port is closed"


def answered(bed: Bed, port: int, timeout_s: float) -> bool:
    """Whether a long datagram from one to two is heard at a port."""
    with socket_in(bed.store, "one", kind=socket.SOCK_DGRAM) as caller:
        caller.settimeout(timeout_s)
        caller.sendto(b"x" * LONG, (str(bed.address("two")), port))
        try:
            caller.recv(LONG)
        except (TimeoutError, ConnectionRefusedError):
            return False
        return True
