"""Classic ELBs: a real haproxy in each zone for every Service of type LoadBalancer.

What the cloud provider of Kubernetes v1.14 makes (pkg/cloudprovider/providers/aws: aws.go,
aws_loadbalancer.go): TCP listeners, every node a target on its node port, one health check of the
first node port, each zone's nodes only for that zone (cross-zone balancing is off).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address

from testbed.description.problem import Problem, Problems
from testbed.kubernetes.model import Node, Service
from testbed.net import names
from testbed.net.facts import Fact, Netns
from testbed.net.programs import Program
from testbed.services.dns import Record
from testbed.vpc.ec2 import Eni
from testbed.vpc.fabric import JUMBO
from testbed.vpc.gateways import end_system
from testbed.vpc.instance import primary_facts
from testbed.vpc.model import Subnet, Vpc

NAME_LENGTH = 32  # characters: what AWS allows, and where Kubernetes cuts
NUMBERS = 10**10  # AWS adds a number of up to ten digits to the name
TTL_S = 60  # of the names of load balancers (Elastic Load Balancing User Guide)
IDLE_S = 60  # a connection silent so long is closed: Classic Load Balancers, "Idle timeout"
CONNECT_S = 5  # for a node to accept; then another one is tried
MOST_CONNECTIONS = 4000  # haproxy makes room for all of them when it starts
HAPROXY = "haproxy"
STATISTICS = "stats"  # the Unix socket in the program's directory that tells the targets' health


@dataclass(frozen=True)
class Balancer:
    """A Service's load balancer in one zone: where it is, and the nodes that are its targets."""

    service: Service
    zone: str
    subnet: Subnet
    nodes: tuple[str, ...]

    @property
    def netns(self) -> str:
        """Its namespace, which is also its ENI's `instance`: `elb-web-us-west-2a`."""
        return f"elb-{self.service.qualified}-{self.zone}"


def balancers(
    vpc: Vpc, nodes: Iterable[Node], services: Iterable[Service]
) -> tuple[Balancer, ...]:
    """One for each Service of type LoadBalancer and each zone that has nodes and a public subnet.

    Of several public subnets it is the first.  The nodes and Services are of one cluster.
    """
    zones = {subnet.name: subnet.availability_zone for subnet in vpc.subnets}
    targets: dict[str, list[str]] = {}
    for node in nodes:
        if node.subnet in zones:
            targets.setdefault(zones[node.subnet], []).append(node.name)
    public = {
        subnet.availability_zone: subnet
        for subnet in reversed(vpc.subnets)
        if vpc.is_public(subnet)
    }
    return tuple(
        Balancer(service, zone, public[zone], tuple(targets[zone]))
        for service in services
        for zone in targets
        if service.type == "LoadBalancer" and zone in public
    )


def balancer_facts(balancer: Balancer, eni: Eni) -> Iterator[Fact]:
    """Its namespace with its network interface in the public subnet."""
    ns = balancer.netns
    service = balancer.service.qualified
    yield Netns(ns=ns, why=f"Service {service}'s load balancer in zone {balancer.zone}")
    yield from end_system(ns)
    yield from primary_facts(eni, balancer.subnet, JUMBO)


def balancer_program(
    balancer: Balancer,
    addresses: Mapping[str, IPv4Address],
    node_ports: Iterable[int],
) -> Program:
    """The haproxy that is the balancer.

    addresses: of the ENIs by instance, the balancer's and its nodes'.  node_ports: one for each of
    the Service's ports.
    """
    own = addresses[balancer.netns]
    targets = {node: addresses[node] for node in balancer.nodes}
    ports = [port.port for port in balancer.service.ports]
    listeners = [*zip(ports, node_ports, strict=True)]
    lines = [
        *_settings(balancer.service),
        *[line for one in listeners for line in _listener(own, one, listeners[0], targets)],
    ]
    return Program(
        netns=balancer.netns,
        name=HAPROXY,
        argv=(HAPROXY, "-db", "-f", "{dir}/haproxy.cfg"),
        files=(("haproxy.cfg", "\n".join([*lines, ""])),),
        listens=tuple(("tcp", port) for port in ports),
        why="a Classic Load Balancer is a TCP proxy: the nodes see its address as the client",
    )


def _settings(service: Service) -> Iterator[str]:
    check = service.health_check
    yield "global"
    yield "    nbthread 1"
    yield f"    maxconn {MOST_CONNECTIONS}"
    yield f"    stats socket unix@{STATISTICS} mode 600"
    yield "defaults"
    yield "    mode tcp"
    yield "    balance roundrobin"
    yield "    option redispatch"
    yield f"    timeout connect {CONNECT_S}s"
    yield f"    timeout client {IDLE_S}s"
    yield f"    timeout server {IDLE_S}s"
    yield f"    timeout check {_ms(check.timeout_s)}"
    # Targets begin as healthy and leave with the first check that fails; at AWS it is the other
    # way round, and a new load balancer takes no connection for as long as checks take.
    thresholds = f"rise {check.healthy_threshold} fall {check.unhealthy_threshold}"
    yield f"    default-server inter {_ms(check.interval_s)} {thresholds}"


def _listener(
    own: IPv4Address,
    listener: tuple[int, int],
    first: tuple[int, int],
    targets: Mapping[str, IPv4Address],
) -> Iterator[str]:
    """A port of the Service, and each node's port for it; the first one's is checked for all."""
    port, node_port = listener
    yield f"listen {port}"
    yield f"    bind {own}:{port}"
    for node, address in targets.items():
        checked = "check" if listener == first else f"track {first[0]}/{node}"
        yield f"    server {node} {address}:{node_port} {checked}"


def _ms(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms"


def balancer_name(cluster: str, service: Service) -> str:
    """What AWS knows it as: `a` and the UID of the Service, without dashes, cut."""
    return f"a{names.digest('uid', cluster, service.qualified, length=NAME_LENGTH - 1)}"


def dns_name(cluster: str, service: Service, region: str) -> str:
    """`a0c1….us-west-2.elb.amazonaws.com`, which is all a Service's status tells."""
    name = balancer_name(cluster, service)
    number = int(names.digest("elb", name, length=12), 16) % NUMBERS
    return f"{name}-{number}.{region}.elb.amazonaws.com"


def balancer_records(name: str, enis: Iterable[Eni]) -> Iterator[Record]:
    """The public addresses of a Service's load balancer, which all the world is told."""
    for eni in enis:
        if eni.public_ip:
            yield Record(name, eni.public_ip, TTL_S)


def problems(services: Iterable[Service]) -> Problems:
    """What AWS would refuse of a cluster's load balancers; paths start at the cluster."""
    for service in services:
        check = service.health_check
        path = ("services", service.name)
        if service.type == "LoadBalancer":
            for i, port in enumerate(service.ports):
                if port.protocol != "TCP":
                    message = "Only TCP LoadBalancer is supported for AWS ELB"
                    yield Problem((*path, "ports", i, "protocol"), message)
        if check.timeout_s >= check.interval_s:
            message = "a health check's timeout must be smaller than its interval"
            yield Problem((*path, "healthCheck", "timeout"), message)
