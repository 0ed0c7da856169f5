"""Classic ELBs: a real haproxy in each zone.

Listeners of TCP, or with annotations of HTTP and TLS, every node a target on its node port, one
health check of the first node port (of healthCheckNodePort with externalTrafficPolicy Local).
"""

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address

from testbed.kubernetes.load_balancers.annotations import load_balancer
from testbed.kubernetes.load_balancers.model import Listener
from testbed.kubernetes.placement import ServiceAddress
from testbed.net.facts import Fact, Netns, NftChain
from testbed.net.served.programs import Program
from testbed.services.load_balancers import Balancer
from testbed.services.load_balancers.health import HAPROXY, STATISTICS, checking
from testbed.services.load_balancers.source_ranges import (
    limits_clients,
    range_facts,
    range_rule,
)
from testbed.vpc.eni import Eni
from testbed.vpc.fabric.instance import primary_facts
from testbed.vpc.fabric.load_balancers import CLASSIC_TABLE
from testbed.vpc.fabric.namespaces import end_system
from testbed.vpc.fabric.subnets import JUMBO

CONNECT_S = 5  # for a node to accept; then another one is tried
CERTIFICATE = "tls.pem"  # in its directory; no client knows who signed it
# Classic Load Balancers, "HTTP headers" and "Routing algorithm"; the client is the last one named
HTTP_LISTENER = (
    "    mode http",
    "    balance leastconn",
    '    http-request set-header X-Forwarded-For "%[req.fhdr(X-Forwarded-For)], %[src]"'
    " if { req.fhdr(X-Forwarded-For) -m found }",
    "    option forwardfor if-none",
    "    http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]",
    "    http-request set-header X-Forwarded-Port %[dst_port]",
)
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
    ports = balancer.service.ports
    lines = [*_settings(balancer)]
    for port, node_port in zip(ports, given.node_ports, strict=True):
        spoken = load_balancer(balancer.service).listener(port)
        lines += [f"listen {port.port}", f"    bind {own}:{port.port}{_bound(spoken)}"]
        lines += HTTP_LISTENER if spoken.reads_http else ()
        first, checked = port == ports[0], given.health_check_node_port
        lines += ["    option httpchk GET /healthz"] if first and checked else []
        for node, address in targets.items():
            how = _checked(spoken, checked) if first else f"track {ports[0].port}/{node}"
            lines.append(f"    server {node} {address}:{node_port}{_sent(spoken)} {how}")
    decrypts = any(load_balancer(balancer.service).listener(port).decrypts for port in ports)
    return Program(
        netns=balancer.netns,
        name=HAPROXY,
        argv=(HAPROXY, "-db", "-f", "{dir}/haproxy.cfg"),
        files=(("haproxy.cfg", "\n".join([*lines, ""])),),
        certificates=((CERTIFICATE, balancer.service.qualified),) if decrypts else (),
        listens=tuple(("tcp", port.port) for port in ports),
        sockets=(STATISTICS,),
        why="a Classic Load Balancer is a TCP proxy: the nodes see its address as the client",
    )


def _bound(spoken: Listener) -> str:
    return f" ssl crt {CERTIFICATE}" if spoken.decrypts else ""


def _sent(spoken: Listener) -> str:
    return " ssl verify none" if spoken.encrypts else ""


def _checked(spoken: Listener, node_port: int) -> str:
    """By TCP, or TLS where targets speak it; by HTTP where there is a port for it."""
    if not node_port:
        return "check"
    plain = " no-check-ssl" if spoken.encrypts else ""
    return f"check port {node_port}{plain}"


def _settings(balancer: Balancer) -> Iterator[str]:
    wanted = load_balancer(balancer.service)
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
    yield from checking(balancer)
    if wanted.proxy_protocol:
        yield "    default-server send-proxy no-check-send-proxy"
