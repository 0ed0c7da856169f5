"""AWS's side of a cluster: API servers, each with a network interface in the cluster's subnets.

EKS User Guide, "View Amazon EKS networking requirements for VPC and subnets" and "Cluster API
server endpoint".  Of AWS's own VPC there is what the cluster sees: the servers and their way out.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from testbed.eks.model import ControlPlane, EksCluster
from testbed.eks.networking import ZONES, cluster_subnets
from testbed.net import names
from testbed.net.facts import (
    ANYWHERE,
    Address,
    ChainRule,
    Fact,
    Netns,
    NftChain,
    NftElement,
    NftSet,
    Route,
)
from testbed.net.served.endpoints import Listener
from testbed.vpc.checks.ranges import widest
from testbed.vpc.eni import Eni
from testbed.vpc.fabric.eni import device, instance_side
from testbed.vpc.fabric.instance import JUMBO, own_address
from testbed.vpc.fabric.internet_gateway import INTERNET_MTU
from testbed.vpc.fabric.namespaces import end_system, link
from testbed.vpc.fabric.routing import host
from testbed.vpc.model import Subnet, Vpc
from testbed.vpc.naming import INTERNET, gateway_address, region

HTTPS, KUBELET = 443, 10250
PUBLIC = IPv4Network("198.51.100.128/25")  # RFC 5737: the public endpoints' addresses
OUTSIDE = "aws"  # an API server's link to the internet
FAMILY, TABLE, CALLERS = "ip", "eks", "public-access"  # of nft, in an API server
SERVER_SIDE = IPv4Address("169.254.255.15")  # next hops of that link
OUTER_SIDE = IPv4Address("169.254.255.16")


@dataclass(frozen=True)
class ApiServer:
    """One of a cluster's API servers.

    subnet: where its cross-account network interface is.  callers: who may call its public_ip.
    """

    cluster: str
    number: int
    subnet: Subnet
    public_ip: IPv4Address | None
    callers: tuple[IPv4Network, ...] = (ANYWHERE,)

    @property
    def netns(self) -> str:
        """Its namespace, which is also its network interface's `instance`."""
        return f"api-{self.cluster}-{self.number}"


def api_servers(cluster: EksCluster, vpc: Vpc, place: int) -> tuple[ApiServer, ...]:
    """One in each of the first two zones; none for a cluster without control plane.

    place: of the cluster among the lab's, from 0.
    """
    plane = cluster.control_plane
    if plane is None:
        return ()
    first: dict[str, Subnet] = {}
    for subnet in cluster_subnets(cluster, vpc):
        first.setdefault(subnet.availability_zone, subnet)
    subnets = list(first.values())[:ZONES]
    return tuple(
        ApiServer(
            cluster.name,
            i,
            subnet,
            _public(plane, place * ZONES + i),
            plane.public_access_cidrs or (ANYWHERE,),
        )
        for i, subnet in enumerate(subnets)
    )


def _public(plane: ControlPlane, number: int) -> IPv4Address | None:
    return PUBLIC[1 + number] if plane.endpoint_public_access else None


def endpoint_name(cluster: EksCluster, vpc: Vpc) -> str:
    """The API's name: `0123…CDEF.gr7.us-west-2.eks.amazonaws.com`."""
    identity = names.digest("eks", cluster.vpc, cluster.name, length=32).upper()
    return f"{identity}.gr7.{region(vpc)}.eks.amazonaws.com"


def endpoint_addresses(
    cluster: EksCluster, servers: Iterable[ApiServer], enis: Iterable[Eni], *, inside: bool
) -> tuple[IPv4Address, ...]:
    """What the API's name stands for.

    inside: in the cluster's own VPC, where private access has a private hosted zone.  Without
    public access the same private addresses are told to everybody.
    """
    plane = cluster.control_plane
    servers = tuple(servers)
    public = tuple(server.public_ip for server in servers if server.public_ip)
    if plane and public and not (inside and plane.endpoint_private_access):
        return public
    own = {eni.instance: eni.primary for eni in enis}
    return tuple(own[server.netns] for server in servers)


def server_facts(server: ApiServer, vpc: Vpc, eni: Eni) -> Iterator[Fact]:
    """An API server: to the VPC's ranges by its network interface, else out of AWS's VPC."""
    ns, dev, gateway = server.netns, device(eni), gateway_address(server.subnet)
    yield Netns(ns=ns, why=f"an API server of cluster {server.cluster}, in AWS's own VPC")
    yield from end_system(ns)
    yield instance_side(eni, JUMBO)
    why = f"Amazon EKS {server.cluster}: the cross-account network interface"
    yield Address(ns=ns, dev=dev, ip=own_address(eni, server.subnet), why=why)
    for network in vpc.cidrs:
        yield Route(ns=ns, dst=network, via=gateway, dev=dev, why=why)
    if server.public_ip:
        yield from _public_facts(server, server.public_ip)


def _public_facts(server: ApiServer, address: IPv4Address) -> Iterator[Fact]:
    ns, outer = server.netns, names.device(server.netns)
    why = f"the public endpoint of cluster {server.cluster}"
    near, far = (ns, OUTSIDE, SERVER_SIDE), (INTERNET, outer, OUTER_SIDE)
    yield from link(near, far, INTERNET_MTU, "API server to the internet")
    yield Address(ns=ns, dev=OUTSIDE, ip=IPv4Interface(host(address)), why=why)
    yield Route(
        ns=ns, dst=ANYWHERE, via=OUTER_SIDE, dev=OUTSIDE, onlink=True, src=address, why=why
    )
    yield Route(ns=INTERNET, dst=host(address), via=SERVER_SIDE, dev=outer, onlink=True, why=why)
    if ANYWHERE not in server.callers:
        yield from _callers(server)


def _callers(server: ApiServer) -> Iterator[Fact]:
    """Others' packets die in silence at the public endpoint; the VPC's own way is not asked."""
    ns, why = server.netns, f"publicAccessCidrs of cluster {server.cluster}"
    yield NftSet(
        ns=ns, family=FAMILY, table=TABLE, name=CALLERS, key_type="ipv4_addr", flags="interval"
    )
    for cidr in map(str, widest(server.callers)):
        yield NftElement(ns=ns, family=FAMILY, table=TABLE, set=CALLERS, element=cidr, why=why)
    rule = f'iifname "{OUTSIDE}" ip saddr != @{CALLERS} counter drop comment "public access CIDRs"'
    yield NftChain(
        ns=ns,
        family=FAMILY,
        table=TABLE,
        name="input",
        hook="type filter hook input priority filter; policy accept;",
        rules=(ChainRule(rule, why),),
        why=why,
    )


def listeners(
    cluster: EksCluster, servers: Iterable[ApiServer], kubelets: Iterable[str]
) -> Iterator[Listener]:
    """The API on 443, and with a control plane each kubelet on 10250; both speak HTTP.

    kubelets: the namespaces they are in.
    """
    for server in servers:
        yield Listener(
            netns=server.netns, port=HTTPS, protocol="http", pod=server.netns, node=server.netns
        )
    for ns in kubelets if cluster.control_plane else ():
        yield Listener(netns=ns, port=KUBELET, protocol="http", pod="kubelet", node=ns)
