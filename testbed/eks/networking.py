"""What EKS wants of the subnets a cluster is created in, and before its version is updated.

EKS User Guide, "View Amazon EKS networking requirements for VPC and subnets".
"""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network

from testbed.description.problem import Problem, Problems, quoted, unknown
from testbed.eks.model import EksCluster
from testbed.vpc.addresses import free_addresses
from testbed.vpc.checks.ranges import NEVER, PRIVATE, SHARED
from testbed.vpc.ec2 import Ec2
from testbed.vpc.model import Subnet, Vpc
from testbed.vpc.security.checks import interface_problems

ZONES = 2
FREE_ADDRESSES = 6  # in each of the cluster's subnets; 16 are advised; older texts say 2 to 3
ADVISED = 16
LARGEST_SERVICES, SMALLEST_SERVICES = 12, 24  # prefix lengths of the range for Services
MOST_PUBLIC_ACCESS = 40  # EKS service quotas: public endpoint access CIDR ranges
INVALID = "InvalidParameterException"
TENS = IPv4Network("10.0.0.0/8")
SERVICES, SERVICES_BESIDE_TENS = IPv4Network("10.100.0.0/16"), IPv4Network("172.20.0.0/16")


@dataclass(frozen=True)
class SubnetRoom:
    """How many addresses a cluster's subnet has left for new network interfaces of EKS."""

    cluster: str
    subnet: str
    zone: str
    free: int

    @property
    def verdict(self) -> str:
        """`ok`, `less than advised`, `too few`."""
        if self.free < FREE_ADDRESSES:
            return "too few"
        return "ok" if self.free >= ADVISED else "less than advised"


def cluster_subnets(cluster: EksCluster, vpc: Vpc) -> tuple[Subnet, ...]:
    """The subnets the cluster was created with; where it names none, all of its VPC."""
    chosen = cluster.subnets or [subnet.name for subnet in vpc.subnets]
    return tuple(subnet for subnet in vpc.subnets if subnet.name in chosen)


def service_cidr(cluster: EksCluster, vpc: Vpc) -> IPv4Network:
    """The range of the cluster's Services: what it says, else the one of EKS' two that EKS takes.

    A VPC whose first range begins with 10 gets 172.20.0.0/16, any other 10.100.0.0/16; the one
    that a range of the VPC overlaps gives way.  Sources: EKS API, KubernetesNetworkConfigRequest;
    amazon-eks-ami v20230304, files/bootstrap.sh, which tells kubelet the DNS server's address.
    """
    if cluster.service_cidr is not None:
        return cluster.service_cidr
    choices = (SERVICES, SERVICES_BESIDE_TENS)
    if vpc.cidrs[:1] and vpc.cidrs[0].subnet_of(TENS):
        choices = choices[::-1]
    free = (one for one in choices if not any(one.overlaps(cidr) for cidr in vpc.cidrs))
    return next(free, choices[0])


def upgrade_room(cluster: EksCluster, vpc: Vpc, ec2: Ec2) -> Iterator[SubnetRoom]:
    """For each subnet: EKS makes new network interfaces before it drops the old ones."""
    for subnet in cluster_subnets(cluster, vpc):
        free = ec2.free_addresses(vpc.name, subnet.name)
        yield SubnetRoom(cluster.name, subnet.name, subnet.availability_zone, free)


def problems(cluster: EksCluster, vpc: Vpc) -> Problems:
    """What keeps a cluster from being created, or its nodes from joining it."""
    known = {subnet.name for subnet in vpc.subnets}
    for i, name in enumerate(cluster.subnets):
        if name not in known:
            message = unknown("subnet", name, known)
            yield Problem(("subnets", i), message, INVALID)
    yield from _zones(cluster, vpc)
    yield from _dns(vpc)
    yield from _service_cidr(service_cidr(cluster, vpc), vpc)
    plane = cluster.control_plane
    if plane and not (plane.endpoint_public_access or plane.endpoint_private_access):
        message = "Private and public endpoint access cannot be false"
        yield Problem(("controlPlane",), message, INVALID)
    yield from _public_access(plane.public_access_cidrs if plane else ())
    for problem in interface_problems(
        (cluster.security_group, *plane.security_groups) if plane and vpc.security_groups else (),
        vpc,
        (cluster.security_group,),
    ):
        yield Problem(("controlPlane", "securityGroups"), problem.message, INVALID)


def warnings(cluster: EksCluster, vpc: Vpc) -> Problems:
    """Subnets in which EKS finds no room for its network interfaces when it creates the cluster.

    Its nodes and pods come later; what is there before are the VPC's instances and gateways.
    """
    there = [one.subnet for one in vpc.instances] + [one.subnet for one in vpc.nat_gateways]
    for subnet in cluster_subnets(cluster, vpc):
        free = free_addresses(subnet.cidr) - there.count(subnet.name)
        if free < FREE_ADDRESSES:
            message = (
                f"{subnet.name} has {free} free addresses when the cluster is created, and EKS"
                f" wants {FREE_ADDRESSES} in each of its subnets"
            )
            yield Problem(("subnets",) if cluster.subnets else ("vpc",), message)


def _zones(cluster: EksCluster, vpc: Vpc) -> Problems:
    zones = sorted({subnet.availability_zone for subnet in cluster_subnets(cluster, vpc)})
    if len(zones) < ZONES:
        whose = "these" if cluster.subnets else f"those of VPC {quoted(vpc.name)}"
        message = (
            "Subnets specified must be in at least two different AZs;"
            f" {whose} are in {' '.join(zones) or 'none'}"
        )
        # awsdocs/amazon-eks-user-guide #795 quotes the API's answer
        key = "subnets" if cluster.subnets else "vpc"
        yield Problem((key,), message, INVALID)


def _public_access(cidrs: tuple[IPv4Network, ...]) -> Problems:
    """Whose code and words aws/aws-cdk #33176 quotes; private and other reserved ones are none."""
    path = ("controlPlane", "publicAccessCidrs")
    if len(cidrs) > MOST_PUBLIC_ACCESS:
        message = f"a cluster has at most {MOST_PUBLIC_ACCESS} of them, not {len(cidrs)}"
        yield Problem(path, message, "ResourceLimitExceededException")
    for i, cidr in enumerate(cidrs):
        if any(cidr.subnet_of(reserved) for reserved in (*PRIVATE, SHARED, *NEVER)):
            message = f"The following CIDRs are invalid in publicAccessCidrs: [{cidr}]"
            yield Problem((*path, i), message, INVALID)


def _service_cidr(cidr: IPv4Network, vpc: Vpc) -> Problems:
    """EKS API, KubernetesNetworkConfigRequest: its place, its size, and nobody else's."""
    path = ("serviceCidr",)
    if not any(cidr.subnet_of(private) for private in PRIVATE):
        message = f"Services have a range inside {', '.join(map(str, PRIVATE))}, not {cidr}"
        yield Problem(path, message, INVALID)
    if not LARGEST_SERVICES <= cidr.prefixlen <= SMALLEST_SERVICES:
        size = f"a /{LARGEST_SERVICES} to a /{SMALLEST_SERVICES}"
        yield Problem(path, f"at EKS a range for Services is {size}; {cidr} is not", INVALID)
    for other in vpc.cidrs:
        if cidr.overlaps(other):
            message = f"the range for Services, {cidr}, overlaps {other} of VPC {quoted(vpc.name)}"
            yield Problem(path, message, INVALID)


def _dns(vpc: Vpc) -> Problems:
    """EKS itself creates such a cluster, and none of its nodes ever joins it."""
    attributes = {
        "enableDnsSupport": vpc.enable_dns_support,
        "enableDnsHostnames": vpc.enable_dns_hostnames,
    }
    for name, is_on in attributes.items():
        if not is_on:
            message = (
                f"VPC {quoted(vpc.name)} has {name} off: nodes need DNS resolution and DNS"
                " hostnames to join a cluster"
            )
            yield Problem(("vpc",), message)
