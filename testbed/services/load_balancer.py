"""Classic ELBs: a real haproxy in each zone for every Service of type LoadBalancer.

What the cloud provider of Kubernetes v1.14 makes (pkg/cloudprovider/providers/aws: aws.go,
aws_loadbalancer.go): TCP listeners, every node a target on its node port, one health check of the
first node port (of healthCheckNodePort with externalTrafficPolicy Local), each zone's nodes only
for that zone unless cross-zone balancing is on.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Literal

from testbed.description.problem import Problem, Problems
from testbed.kubernetes.load_balancer import load_balancer, mistakes
from testbed.kubernetes.model import HealthCheck, Node, Service
from testbed.kubernetes.placement import ServiceAddress
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
CONNECT_S = 5  # for a node to accept; then another one is tried
MOST_CONNECTIONS = 4000  # haproxy makes room for all of them when it starts
HAPROXY = "haproxy"
STATISTICS = "stats"  # the Unix socket in the program's directory that tells the targets' health

# Elastic Load Balancing's words for a target's health (DescribeInstanceHealth)
TargetState = Literal["InService", "OutOfService"]
States = Callable[[str], Mapping[str, TargetState]]  # of the targets of a balancer, by its netns


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
    """One for each Service of type LoadBalancer and each zone that has nodes and a subnet for it.

    Facing the internet that is the zone's first public subnet; an internal one takes the first
    private one where there is any, as the tag kubernetes.io/role/internal-elb has it in practice.
    The nodes and Services are of one cluster.
    """
    zones = {subnet.name: subnet.availability_zone for subnet in vpc.subnets}
    targets: dict[str, list[str]] = {}
    for node in nodes:
        if node.subnet in zones:
            targets.setdefault(zones[node.subnet], []).append(node.name)
    every = tuple(node for zone in targets.values() for node in zone)
    found = []
    for service in services:
        if service.type == "LoadBalancer":
            wanted = load_balancer(service.annotations)
            places = _subnets(vpc, internal=wanted.internal)
            found += [
                Balancer(service, zone, places[zone], every if wanted.cross_zone else tuple(own))
                for zone, own in targets.items()
                if zone in places
            ]
    return tuple(found)


def _subnets(vpc: Vpc, *, internal: bool) -> dict[str, Subnet]:
    """By zone the subnet that a load balancer is put into."""
    public = [subnet for subnet in vpc.subnets if vpc.is_public(subnet)]
    private = [subnet for subnet in vpc.subnets if subnet not in public]
    chosen = [*private, *public] if internal else public
    return {subnet.availability_zone: subnet for subnet in reversed(chosen)}


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
    given: ServiceAddress,
) -> Program:
    """The haproxy that is the balancer.

    addresses: of the ENIs by instance, the balancer's and its nodes'.  given: the Service's node
    ports.
    """
    own = addresses[balancer.netns]
    targets = {node: addresses[node] for node in balancer.nodes}
    ports = [port.port for port in balancer.service.ports]
    listeners = [*zip(ports, given.node_ports, strict=True)]
    checked = given.health_check_node_port
    lines = [*_settings(balancer.service)]
    for listener in listeners:
        first = listener == listeners[0]
        lines += [f"listen {listener[0]}", f"    bind {own}:{listener[0]}"]
        lines += ["    option httpchk GET /healthz"] if first and checked else []
        check = f"check port {checked}" if checked else "check"
        for node, address in targets.items():
            how = check if first else f"track {ports[0]}/{node}"
            lines.append(f"    server {node} {address}:{listener[1]} {how}")
    return Program(
        netns=balancer.netns,
        name=HAPROXY,
        argv=(HAPROXY, "-db", "-f", "{dir}/haproxy.cfg"),
        files=(("haproxy.cfg", "\n".join([*lines, ""])),),
        listens=tuple(("tcp", port) for port in ports),
        why="a Classic Load Balancer is a TCP proxy: the nodes see its address as the client",
    )


def _settings(service: Service) -> Iterator[str]:
    wanted, check = load_balancer(service.annotations), health_check(service)
    yield "global"
    yield "    nbthread 1"
    yield f"    maxconn {MOST_CONNECTIONS}"
    yield f"    stats socket unix@{STATISTICS} mode 600"
    yield "defaults"
    yield "    mode tcp"
    yield "    balance roundrobin"
    yield "    option redispatch"
    yield f"    timeout connect {CONNECT_S}s"
    yield f"    timeout client {wanted.idle_timeout_s}s"
    yield f"    timeout server {wanted.idle_timeout_s}s"
    yield f"    timeout check {_ms(check.timeout_s)}"
    # Targets begin as healthy and leave with the first check that fails; at AWS it is the other
    # way round, and a new load balancer takes no connection for as long as checks take.
    thresholds = f"rise {check.healthy_threshold} fall {check.unhealthy_threshold}"
    proxied = " send-proxy no-check-send-proxy" if wanted.proxy_protocol else ""
    yield f"    default-server inter {_ms(check.interval_s)} {thresholds}{proxied}"


def health_check(service: Service) -> HealthCheck:
    """A Service's, with what annotations change."""
    wanted, check = load_balancer(service.annotations), service.health_check
    return HealthCheck(
        interval_s=wanted.check_interval_s or check.interval_s,
        timeout_s=wanted.check_timeout_s or check.timeout_s,
        healthy_threshold=wanted.healthy_threshold or check.healthy_threshold,
        unhealthy_threshold=wanted.unhealthy_threshold or check.unhealthy_threshold,
    )


def _ms(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms"


def balancer_name(cluster: str, service: Service) -> str:
    """What AWS knows it as: `a` and the UID of the Service, without dashes, cut."""
    return f"a{names.digest('uid', cluster, service.qualified, length=NAME_LENGTH - 1)}"


def dns_name(cluster: str, service: Service, region: str) -> str:
    """`a0c1….us-west-2.elb.amazonaws.com`, which is all a Service's status tells.

    An internal one's begins with `internal-`; all the world is told its private addresses.
    """
    name = balancer_name(cluster, service)
    number = int(names.digest("elb", name, length=12), 16) % NUMBERS
    scheme = "internal-" if load_balancer(service.annotations).internal else ""
    return f"{scheme}{name}-{number}.{region}.elb.amazonaws.com"


def balancer_records(name: str, enis: Iterable[Eni]) -> Iterator[Record]:
    """The addresses of a Service's load balancer, which all the world is told."""
    for eni in enis:
        yield Record(name, eni.public_ip or eni.primary, TTL_S)


def unhealthy_zones(balancers: Iterable[Balancer], states: States) -> Iterator[Balancer]:
    """The balancers that leave their name: no target is healthy, and another zone has one.

    Those of one cluster.  Without any healthy target in any zone all of them stay.
    Source: Elastic Load Balancing User Guide, "How Elastic Load Balancing works", routing.
    """
    zones: dict[str, list[Balancer]] = {}
    for one in balancers:
        zones.setdefault(one.service.qualified, []).append(one)
    for own in zones.values():
        healthy = [one for one in own if "InService" in states(one.netns).values()]
        yield from (one for one in own if healthy and one not in healthy)


def problems(services: Iterable[Service]) -> Problems:
    """What AWS would refuse of a cluster's load balancers; paths start at the cluster."""
    for service in services:
        path = ("services", service.name)
        wrong = [*mistakes(service.annotations)]
        for name, message in wrong:
            yield Problem((*path, "annotations", name), message)
        if wrong:
            continue
        check = health_check(service)
        if service.type == "LoadBalancer":
            for i, port in enumerate(service.ports):
                if port.protocol != "TCP":
                    message = "Only TCP LoadBalancer is supported for AWS ELB"
                    yield Problem((*path, "ports", i, "protocol"), message)
        if check.timeout_s >= check.interval_s:
            message = "a health check's timeout must be smaller than its interval"
            yield Problem((*path, "healthCheck", "timeout"), message)
