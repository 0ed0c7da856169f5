"""Classic ELBs: a real haproxy in each zone.

TCP listeners, every node a target on its node port, one health check of the first node port (of
healthCheckNodePort with externalTrafficPolicy Local).
"""

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address

from testbed.kubernetes.load_balancer import load_balancer
from testbed.kubernetes.model import Service
from testbed.kubernetes.placement import ServiceAddress
from testbed.net.facts import Fact, Netns, NftChain
from testbed.net.programs import Program
from testbed.services.load_balancers import Balancer
from testbed.services.load_balancers.health import HAPROXY, STATISTICS, checking
from testbed.services.load_balancers.source_ranges import (
    limits_clients,
    range_facts,
    range_rule,
)
from testbed.vpc.ec2 import Eni
from testbed.vpc.fabric.gateways import end_system
from testbed.vpc.fabric.instance import primary_facts
from testbed.vpc.fabric.load_balancers import CLASSIC_TABLE
from testbed.vpc.fabric.subnets import JUMBO

CONNECT_S = 5  # for a node to accept; then another one is tried
MOST_CONNECTIONS = 4000  # haproxy makes room for all of them when it starts


def balancer_facts(balancer: Balancer, eni: Eni, *, guarded: bool) -> Iterator[Fact]:
    """Its namespace with its network interface in the public subnet.

    guarded: by a security group, which knows its clients.
    """
    ns = balancer.netns
    service = balancer.service.qualified
    yield Netns(ns=ns, why=f"Service {service}'s load balancer in zone {balancer.zone}")
    yield from end_system(ns)
    yield from primary_facts(eni, balancer.subnet, JUMBO)
    if limits_clients(balancer.service) and not guarded:
        yield from _doorkeeper(balancer)


def _doorkeeper(balancer: Balancer) -> Iterator[Fact]:
    """Who may call its listeners."""
    yield from range_facts(balancer.netns, CLASSIC_TABLE, balancer.service)
    yield NftChain(
        ns=balancer.netns,
        family="ip",
        table=CLASSIC_TABLE,
        name="input",
        hook="type filter hook input priority filter; policy accept;",
        rules=tuple(range_rule(f"tcp dport {port.port}") for port in balancer.service.ports),
    )


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
        makes=(STATISTICS,),
        why="a Classic Load Balancer is a TCP proxy: the nodes see its address as the client",
    )


def _settings(service: Service) -> Iterator[str]:
    wanted = load_balancer(service.annotations)
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
    yield from checking(service)
    if wanted.proxy_protocol:
        yield "    default-server send-proxy no-check-send-proxy"
