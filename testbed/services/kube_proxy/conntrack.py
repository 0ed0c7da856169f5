"""Which conntrack entries kube-proxy deletes when endpoints come and go: UDP only, never TCP.

A client that keeps its port keeps its entry, and with it an endpoint that is gone, or the address
of a Service that had none.  Source: kubernetes v1.30, pkg/proxy/conntrack/cleanup.go; v1.14,
pkg/proxy/iptables/proxier.go (syncProxyRules, deleteEndpointConnections).
"""

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Address
from typing import NamedTuple

from testbed.kubernetes.kube_proxy import Era
from testbed.services.kube_proxy.ports import ProxiedPort

UDP = ("-p", "udp")
DELETE = ("conntrack", "-D")

Command = tuple[str, ...]


class _Change(NamedTuple):
    """A UDP port of a Service before and after; none when it is not there."""

    before: ProxiedPort | None
    after: ProxiedPort | None
    era: Era

    @property
    def newly_active(self) -> bool:
        """Whether it got its first endpoint."""
        return bool(self._used(self.after)) and not self._used(self.before)

    @property
    def gone(self) -> tuple[IPv4Address, ...]:
        """The addresses of its endpoints that are gone, or serve no more.

        Who ends and still serves keeps its entries since 1.29 (kubernetes #119394).
        """
        left = self._used(self.after).keys()
        return tuple(ip for text, ip in self._used(self.before).items() if text not in left)

    def _used(self, port: ProxiedPort | None) -> Mapping[str, IPv4Address]:
        old, backends = self.era == "1.14", port.backends if port else ()
        used = (one for one in backends if (one.ready if old else one.serving))
        return {str(backend): backend.ip for backend in used}


def stale_entries(
    before: Iterable[ProxiedPort], after: Iterable[ProxiedPort], era: Era
) -> tuple[Command, ...]:
    """The commands every node's kube-proxy runs after its rules are written, in their order."""
    old = {(port.name, port.protocol): port for port in before if port.protocol == "udp"}
    new = {(port.name, port.protocol): port for port in after if port.protocol == "udp"}
    changes = [_Change(old.get(key), new.get(key), era) for key in dict.fromkeys((*old, *new))]
    services = _services_1_14 if era == "1.14" else _services
    endpoints = _endpoint_1_14 if era == "1.14" else _endpoint
    commands = [*services(changes)]
    for change in changes:
        if change.after:
            for ip in change.gone:
                commands += endpoints(change.after, ip)
    return tuple(dict.fromkeys(commands))


def opened_host_port(port: int) -> Command:
    """What kubenet and portmap run when a UDP hostPort comes, behind its rules.

    Source: kubernetes v1.14, hostport_manager.go; containernetworking/plugins v1.1.1, portmap.
    """
    return _to_port(port)


def _services(changes: Iterable[_Change]) -> Iterator[Command]:
    """Services that are gone, and those whose address led nowhere until now."""
    changes = tuple(changes)
    yield from _deleted(changes)
    active = [change.after for change in changes if change.after and change.newly_active]
    for port in active:
        for ip in (port.cluster_ip, *port.external_ips, *port.load_balancer_ips):
            yield _to(ip)
    yield from (_to_port(port.node_port) for port in active if port.node_port)


def _services_1_14(changes: Iterable[_Change]) -> Iterator[Command]:
    """A node port is cleared when its socket is opened; load balancers are forgotten."""
    changes = tuple(changes)
    held = {change.before.node_port for change in changes if change.before}
    for _, port, _ in changes:
        if port and port.node_port and port.node_port not in held:
            yield _to_port(port.node_port)
    yield from _deleted(changes)
    for change in changes:
        if change.after and change.newly_active:
            yield from map(_to, (change.after.cluster_ip, *change.after.external_ips))


def _deleted(changes: Iterable[_Change]) -> Iterator[Command]:
    for before, after, _ in changes:
        if before and after is None:
            yield _to(before.cluster_ip)


def _endpoint(port: ProxiedPort, ip: IPv4Address) -> Iterator[Command]:
    if port.node_port:
        yield (*_to_port(port.node_port), "--dst-nat", str(ip))
    for address in (port.cluster_ip, *port.external_ips, *port.load_balancer_ips):
        yield _translated(address, ip)


def _endpoint_1_14(port: ProxiedPort, ip: IPv4Address) -> Iterator[Command]:
    """With a node port the entries of the ClusterIP are forgotten, and stay."""
    if port.node_port:
        yield (*_to_port(port.node_port), "--dst-nat", str(ip))
    else:
        yield _translated(port.cluster_ip, ip)
    for address in (*port.external_ips, *port.load_balancer_ips):
        yield _translated(address, ip)


def _to(address: IPv4Address) -> Command:
    return (*DELETE, "--orig-dst", str(address), *UDP)


def _to_port(port: int) -> Command:
    return (*DELETE, *UDP, "--dport", str(port))


def _translated(address: IPv4Address, endpoint: IPv4Address) -> Command:
    return (*DELETE, "--orig-dst", str(address), "--dst-nat", str(endpoint), *UDP)
