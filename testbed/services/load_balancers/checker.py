"""The haproxy of a Network Load Balancer: it checks targets, and relays what is not translated."""

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address

from testbed.kubernetes.load_balancers.annotations import load_balancer
from testbed.kubernetes.model import Service
from testbed.kubernetes.placement import ServiceAddress
from testbed.net.served.programs import Program
from testbed.services.load_balancers import Balancer, relay
from testbed.services.load_balancers.health import HAPROXY, STATISTICS, checking
from testbed.services.load_balancers.network import TCP_IDLE_S
from testbed.services.load_balancers.targets import Target, TargetGroup

HEALTH_PAGE = "/healthz"  # of kube-proxy, on a Service's healthCheckNodePort


def checker_program(
    balancer: Balancer, groups: Sequence[TargetGroup], given: ServiceAddress, own: IPv4Address
) -> Program:
    """The haproxy whose statistics tell the health of each target.

    own: the balancer's address.
    """
    relayed = relay.relayed(groups)
    lines = [
        *_settings(balancer),
        *(line for one in relayed for line in relay.frontend(own, one, TCP_IDLE_S)),
        *(line for one in groups for line in _group(balancer, one, given)),
        *(line for one in relayed for line in relay.everyone(one, TCP_IDLE_S)),
    ]
    secured = any(group.spoken.decrypts for group in relayed)
    return Program(
        netns=balancer.netns,
        name=HAPROXY,
        argv=(HAPROXY, "-db", "-f", "{dir}/haproxy.cfg"),
        files=(("haproxy.cfg", "\n".join([*lines, ""])),),
        certificates=((relay.CERTIFICATE, balancer.service.qualified),) if secured else (),
        listens=tuple(("tcp", group.port) for group in relayed),
        sockets=(STATISTICS,),
        why="a Network Load Balancer checks its targets from its own addresses",
    )


def _settings(balancer: Balancer) -> Iterator[str]:
    yield "global"
    yield "    nbthread 1"
    yield f"    stats socket unix@{STATISTICS} mode 600"
    yield "defaults"
    yield "    mode tcp"
    for side in ("connect", "client", "server"):
        yield f"    timeout {side} 1s"
    yield from checking(balancer)


def _group(balancer: Balancer, group: TargetGroup, given: ServiceAddress) -> Iterator[str]:
    """By TCP on the target's own port; with policy Local by HTTP on the healthCheckNodePort.

    A listener of UDP is checked by TCP too (Network Load Balancers, "Health checks").
    """
    wanted = load_balancer(balancer.service)
    of_nodes = wanted.target_type == "instance"
    asked = given.health_check_node_port if of_nodes else 0
    protocol = wanted.check_protocol or ("http" if asked else "tcp")
    path = wanted.check_path or (HEALTH_PAGE if asked else "/")
    if group.is_relayed:
        yield from relay.backend(group, group.listener, TCP_IDLE_S)
    else:
        yield f"backend {group.listener}"
    if protocol == "http":
        yield f"    option httpchk GET {path}"
        yield f"    http-check expect status {wanted.check_codes}"
    ended = relay.ended(group) if group.is_relayed else ""
    for target in group.targets:
        port = wanted.checked_port(asked, target.port)
        how = relay.sent(group) if group.is_relayed else ""
        how += " no-check-ssl" if group.spoken.encrypts else ""
        how += " check-send-proxy" if _tells(balancer.service, group, target, port) else ""
        yield f"    server {target.name} {target.ip}:{target.port}{how} check port {port}{ended}"


def _tells(service: Service, group: TargetGroup, target: Target, port: int) -> bool:
    """Whether a health check of a port begins with the PROXY header, which names no client.

    Network Load Balancers, "Proxy protocol": health checks have it too.  Of those that ask another
    port than the target's nothing is said.
    """
    everywhere = service.health_check.proxy_header == "always"
    return group.tells_client and (everywhere or port == target.port)
