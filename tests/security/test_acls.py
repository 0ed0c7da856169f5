"""Network ACLs: numbered, without memory, and only where a packet enters or leaves a subnet."""

from collections.abc import Callable
from ipaddress import IPv4Network
from typing import Any

import pytest

from testbed.bed import Bed
from testbed.vpc.security.model import AclEntry, NetworkAcl, Range, SecurityGroup

pytestmark = pytest.mark.kernel

ANYWHERE = IPv4Network("0.0.0.0/0")
HTTP, ECHO = 80, 7
EPHEMERAL = Range(32768, 60999)  # net.ipv4.ip_local_port_range

Become = Callable[..., Bed]


def entry(number: int, action: str, **traffic: Any) -> AclEntry:
    traffic = {"cidr": ANYWHERE, **traffic}
    return AclEntry(rule_number=number, action=action, **traffic)  # type: ignore[arg-type]


def tcp(bed: Bed, source: str, destination: str, port: int = HTTP) -> bool:
    return bed.tcp(source, destination, port).delivered


ALL = (entry(100, "allow"),)


def test_a_new_acl_denies_both_ways(become: Become) -> None:
    bed = become(acls={"a": NetworkAcl("new")})

    assert not tcp(bed.briefly, "b-1", "a-1")
    assert not tcp(bed.briefly, "a-1", "b-1")
    assert tcp(bed, "b-1", "b-2"), "control: the other subnet has the default ACL"
    assert bed.path("b-1", "a-1").verdict.startswith(
        "dropped in vpc-main: rule * of network ACL new, inbound"
    )
    assert bed.path("a-1", "b-1").code == "SUBNET_ACL_RESTRICTION"


def test_inside_a_subnet_no_acl_is_asked(become: Become) -> None:
    bed = become(acls={"a": NetworkAcl("new")})

    assert tcp(bed, "a-1", "a-2")
    assert bed.ping("a-1", "a-2").received == 1


def test_the_resolver_passes_any_acl(become: Become) -> None:
    bed = become(acls={"a": NetworkAcl("new")})

    asked = bed.run("a-1", "getent", "ahostsv4", "ip-10-0-1-4.us-west-2.compute.internal")
    assert asked.stdout.startswith("10.0.1.4"), asked


def test_answers_need_a_rule_for_the_callers_ephemeral_ports(become: Become) -> None:
    """An ACL remembers nothing: without the second rule the answer dies where it leaves."""
    http = (entry(100, "allow", protocol="tcp", ports=Range(HTTP, HTTP)),)
    ephemeral = (entry(100, "allow", protocol="tcp", ports=EPHEMERAL),)

    bed = become(acls={"a": NetworkAcl("http", ingress=http)})
    assert not tcp(bed.briefly, "b-1", "a-1")

    bed = become(acls={"a": NetworkAcl("http", ingress=http, egress=ephemeral)})
    assert tcp(bed, "b-1", "a-1")
    assert not tcp(bed.briefly, "b-1", "a-1", ECHO)
    assert not tcp(bed.briefly, "a-1", "b-1"), "port 80 is no ephemeral one"


def test_a_security_group_that_remembers_does_not_help_against_an_acl(become: Become) -> None:
    http = NetworkAcl("http", ingress=(entry(100, "allow", protocol="tcp", ports=Range(80, 80)),))
    bed = become(groups=(SecurityGroup("default"),), acls={"a": http})

    assert not tcp(bed.briefly, "b-1", "a-1")
    assert tcp(bed, "b-1", "b-2"), "control: the group allows it"


def test_the_lowest_number_that_matches_decides(become: Become) -> None:
    """Whatever the order they are written in."""
    deny = entry(90, "deny", cidr=IPv4Network("10.0.2.0/24"))
    bed = become(acls={"a": NetworkAcl("deny", ingress=(*ALL, deny), egress=ALL)})
    assert not tcp(bed.briefly, "b-1", "a-1")
    assert bed.path("b-1", "a-1").verdict.startswith(
        "dropped in vpc-main: rule 90 of network ACL deny"
    )

    deny = entry(110, "deny", cidr=IPv4Network("10.0.2.0/24"))
    bed = become(acls={"a": NetworkAcl("deny", ingress=(deny, *ALL), egress=ALL)})
    assert tcp(bed, "b-1", "a-1")


def test_both_subnets_acls_are_asked(become: Become) -> None:
    """Out of one, into the other."""
    no_ping = (entry(50, "deny", protocol="icmp", icmp_type=8), *ALL)
    bed = become(acls={"b": NetworkAcl("no-ping", ingress=ALL, egress=no_ping)})
    assert bed.briefly.ping("b-1", "a-1").received == 0
    assert bed.ping("a-1", "b-1").received == 1, "echo replies are of another type"

    bed = become(acls={"a": NetworkAcl("no-ping", ingress=no_ping, egress=ALL)})
    assert bed.briefly.ping("b-1", "a-1").received == 0
    assert tcp(bed, "b-1", "a-1")
