"""Instance metadata: what 169.254.169.254 tells each instance of itself, and how it gets there.

EC2 User Guide, "Use the Instance Metadata Service" and "Instance metadata categories"; the paths
that ipamD reads: amazon-vpc-cni-k8s, pkg/awsutils/imds.go.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import IPv4Address

from testbed.net import names
from testbed.net.served.metadata import InstanceMetadata
from testbed.vpc.eni import Eni
from testbed.vpc.model import MetadataOptions, Subnet, Vpc
from testbed.vpc.naming import ACCOUNT, region

DOCUMENT = "dynamic/instance-identity/document"
Paths = Iterator[tuple[str, str]]


def identifier(kind: str, *parts: str) -> str:
    """An id as AWS has it, `subnet-0123456789abcdef0`; the same names have the same one."""
    return f"{kind}-{names.digest(kind, *parts, length=17)}"


def instance_metadata(
    vpc: Vpc,
    enis: Sequence[Eni],
    instance_type: str,
    groups: Mapping[str, tuple[str, ...]],
    options: MetadataOptions,
) -> InstanceMetadata:
    """What an instance is told.  enis: its own, the primary first.  groups: of each, by its id."""
    addresses = frozenset(address for eni in enis for address in eni.delivered)
    paths = [*_instance(vpc, enis[0], instance_type), *_security(groups[enis[0].id])]
    for eni in enis:
        paths += _below(f"network/interfaces/macs/{eni.mac}", _interface(vpc, eni, groups[eni.id]))
    paths = [(DOCUMENT, _document(vpc, enis[0], instance_type)), *_below("meta-data", paths)]
    return InstanceMetadata(
        instance=enis[0].instance,
        addresses=addresses,
        paths=tuple(paths),
        tokens_required=options.http_tokens == "required",
        hop_limit=options.http_put_response_hop_limit,
        enabled=options.http_endpoint == "enabled",
    )


def _below(directory: str, paths: Iterable[tuple[str, str]]) -> Paths:
    return ((f"{directory}/{key}", text) for key, text in paths)


def _document(vpc: Vpc, eni: Eni, instance_type: str) -> str:
    """The instance identity document: where SDKs and agents look for their region."""
    document = {
        "accountId": ACCOUNT,
        "availabilityZone": _subnets(vpc)[eni.subnet].availability_zone,
        "instanceId": identifier("i", eni.vpc, eni.instance),
        "instanceType": instance_type,
        "privateIp": str(eni.primary),
        "region": region(vpc),
        "version": "2017-09-30",
    }
    return json.dumps(document, indent=2)


def private_name(address: IPv4Address, vpc: Vpc) -> str:
    """`ip-10-0-1-11.us-west-2.compute.internal`."""
    own = region(vpc)
    domain = "ec2" if own == "us-east-1" else f"{own}.compute"
    return f"ip-{str(address).replace('.', '-')}.{domain}.internal"


def _instance(vpc: Vpc, eni: Eni, instance_type: str) -> Paths:
    zone = _subnets(vpc)[eni.subnet].availability_zone
    name = private_name(eni.primary, vpc)
    yield "hostname", name
    yield "instance-id", identifier("i", eni.vpc, eni.instance)
    yield "instance-type", instance_type
    yield "local-hostname", name
    yield "local-ipv4", str(eni.primary)
    yield "mac", eni.mac
    yield "placement/availability-zone", zone
    yield "placement/region", region(vpc)
    yield "services/domain", "amazonaws.com"
    yield "services/partition", "aws"
    if eni.public_ip:
        yield "public-ipv4", str(eni.public_ip)


def _security(groups: tuple[str, ...]) -> Paths:
    if groups:
        yield "security-groups", _lines(groups)


def _interface(vpc: Vpc, eni: Eni, groups: tuple[str, ...]) -> Paths:
    """What is below an interface's MAC; what there is none of is not there at all: 404."""
    subnet = _subnets(vpc)[eni.subnet]
    yield "device-number", str(eni.device_index)
    yield "interface-id", eni.id
    yield "local-hostname", private_name(eni.primary, vpc)
    yield "local-ipv4s", _lines(eni.addresses)
    yield "mac", eni.mac
    yield "owner-id", ACCOUNT
    yield "subnet-id", identifier("subnet", vpc.name, subnet.name)
    yield "subnet-ipv4-cidr-block", str(subnet.cidr)
    yield "vpc-id", identifier("vpc", vpc.name)
    yield "vpc-ipv4-cidr-block", str(vpc.cidrs[0])
    yield "vpc-ipv4-cidr-blocks", _lines(vpc.cidrs)
    if eni.prefixes:
        yield "ipv4-prefix", _lines(eni.prefixes)
    if eni.public_ip:
        yield "public-ipv4s", str(eni.public_ip)
        yield f"ipv4-associations/{eni.public_ip}", str(eni.primary)
    if groups:
        yield "security-groups", _lines(groups)
        yield "security-group-ids", _lines(identifier("sg", vpc.name, one) for one in groups)


def _subnets(vpc: Vpc) -> Mapping[str, Subnet]:
    return {subnet.name: subnet for subnet in vpc.subnets}


def _lines(values: Iterable[object]) -> str:
    return "\n".join(map(str, values))
