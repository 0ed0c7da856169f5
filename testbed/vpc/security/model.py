"""Security groups, network ACLs and prefix lists as a topology describes them, in AWS's words."""

import re
from collections.abc import Mapping
from ipaddress import IPv4Network
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BeforeValidator, Field, PlainSerializer
from pydantic.dataclasses import dataclass

from testbed.description import INVALID, STRICT, Cidr, Whole, refusal
from testbed.description.problem import found

ANYWHERE = IPv4Network("0.0.0.0/0")
DEFAULT = "default"  # every VPC's own security group, and its own network ACL

ALL = "all"  # EC2's protocol -1
NUMBERS: Mapping[str, int] = {"icmp": 1, "tcp": 6, "udp": 17}
NAMES = {number: name for name, number in NUMBERS.items()}
PORTED = ("tcp", "udp")
LAST_PROTOCOL, LAST_PORT = 255, 65535
LAST_ENTRY = 32766  # of a network ACL; 32767 is the `*` that denies the rest


ELSEWHERE = "/"  # between another VPC's name and a group's, in a rule


class Range(NamedTuple):
    """Numbers from first to last."""

    first: int
    last: int

    def __str__(self) -> str:
        return f"{self.first}" if self.first == self.last else f"{self.first}-{self.last}"


ALL_PORTS = Range(0, LAST_PORT)


def _protocol(given: Any) -> Any:
    """`tcp`, `6` and 6 are one; -1 is EC2's number for all."""
    written = str(given).lower() if isinstance(given, str | int) and given is not True else ""
    if written in (ALL, "-1"):
        return ALL
    if written in NUMBERS:
        return written
    if re.fullmatch("[0-9]{1,3}", written) and int(written) <= LAST_PROTOCOL:
        return NAMES.get(int(written), str(int(written)))
    message = f"expected tcp, udp, icmp, all or a protocol's number, found {found(given)}"
    raise refusal(message)


def _ports(given: Any) -> Any:
    """80, `80`, `8000-8010`; which is the first and which the last is checked later."""
    if isinstance(given, Range) or given is None:
        return given
    written = str(given) if isinstance(given, str | int) and given is not True else ""
    match = re.fullmatch(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", written)
    if not match or max(int(match[1]), int(match[2] or 0)) > LAST_PORT:
        raise refusal(f"expected a port or a range such as 8000-8010, found {found(given)}")
    return Range(int(match[1]), int(match[2] or match[1]))


PROTOCOL = r"^(all|tcp|udp|icmp|-1|[0-9]{1,3})$"
PORTS = r"^[0-9]{1,5}(-[0-9]{1,5})?$"
ProtocolText = Annotated[str, Field(pattern=PROTOCOL)]
PortsText = Annotated[str, Field(pattern=PORTS)]
Protocol = Annotated[
    str, BeforeValidator(_protocol, json_schema_input_type=ProtocolText | int), INVALID
]
Ports = Annotated[
    Range | None,
    BeforeValidator(_ports, json_schema_input_type=PortsText | int | None),
    PlainSerializer(lambda ports: ports and str(ports), when_used="json"),
    INVALID,
]
IcmpNumber = Annotated[Whole, Field(ge=-1, le=255), INVALID]  # -1: every type, or every code


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Traffic:
    """Which packets a rule means.  ports: of the destination; none for all."""

    protocol: Protocol = ALL
    ports: Ports = None
    icmp_type: IcmpNumber = -1
    icmp_code: IcmpNumber = -1

    @property
    def numbers(self) -> Range:
        """The destination ports, or for ICMP the types and codes as type * 256 + code."""
        if self.protocol != "icmp":
            return self.ports or ALL_PORTS
        if self.icmp_type < 0:
            return ALL_PORTS
        first = self.icmp_type * 256
        if self.icmp_code < 0:
            return Range(first, first + 255)
        return Range(first + self.icmp_code, first + self.icmp_code)

    @property
    def named(self) -> str:
        """`tcp 80`, `icmp type 8`, `all`."""
        if self.protocol == "icmp" and self.icmp_type >= 0:
            code = f" code {self.icmp_code}" if self.icmp_code >= 0 else ""
            return f"icmp type {self.icmp_type}{code}"
        if self.ports and self.protocol in PORTED:
            return f"{self.protocol} {self.ports}"
        return self.protocol if self.protocol in (ALL, *NUMBERS) else f"protocol {self.protocol}"


@dataclass(frozen=True, kw_only=True, config=STRICT)
class GroupRule(Traffic):
    """What a group allows.  The peer is one of a range, a security group and a prefix list.

    group: of the same VPC; `VPC/GROUP` is one of a peered VPC in the same region, and in
    inbound rules of one that a transit gateway with securityGroupReferencingSupport attaches.
    """

    cidr: Cidr | None = None
    group: str = ""
    prefix_list: str = ""
    description: str = ""

    @property
    def peer(self) -> str:
        """Who, as it is written."""
        return str(self.cidr or self.group or self.prefix_list)


GroupRules = tuple[GroupRule, ...]
EVERYTHING: GroupRules = (GroupRule(cidr=ANYWHERE),)


@dataclass(frozen=True, config=STRICT)
class SecurityGroup:
    """A security group; it allows, and denies nothing.

    Where nothing is said, a new group has no ingress rule, and an egress rule for everything.
    The group `default` has an ingress rule for itself besides (VPC User Guide, "Default security
    groups for your VPCs").
    """

    name: str
    ingress: GroupRules | None = None
    egress: GroupRules | None = None
    description: str = ""

    @property
    def allows_in(self) -> GroupRules:
        """Its ingress rules."""
        if self.ingress is not None:
            return self.ingress
        return (GroupRule(group=DEFAULT),) if self.name == DEFAULT else ()

    @property
    def allows_out(self) -> GroupRules:
        """Its egress rules."""
        return EVERYTHING if self.egress is None else self.egress


@dataclass(frozen=True, config=STRICT)
class PrefixList:
    """Ranges with one name.  max_entries: what it counts for in a group; none for their number."""

    name: str
    entries: tuple[Cidr, ...]
    max_entries: Annotated[Whole, Field(ge=1)] | None = None


@dataclass(frozen=True, kw_only=True, config=STRICT)
class AclEntry(Traffic):
    """A numbered rule of a network ACL; the first that matches decides."""

    rule_number: Annotated[Whole, Field(ge=1, le=LAST_ENTRY), INVALID]
    cidr: Cidr
    action: Annotated[Literal["allow", "deny"], INVALID]


AclEntries = tuple[AclEntry, ...]


@dataclass(frozen=True, config=STRICT)
class NetworkAcl:
    """A network ACL of subnets; what no entry matches is denied (rule `*`).

    One that is described has the entries that it says.  Without a description the VPC's `default`
    allows everything; whoever describes it replaces that.
    """

    name: str
    ingress: AclEntries = ()
    egress: AclEntries = ()
