"""The ports kube-proxy holds on a node so that nobody else takes them: nothing is read there.

A packet for one of them is translated before it gets there; without kube-proxy's rules a client
connects and waits.  Gone since 1.24.

Source: kubernetes v1.14, pkg/proxy/iptables/proxier.go, syncProxyRules (OpenLocalPort).
"""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address

from testbed.kubernetes.kube_proxy import KubeProxy
from testbed.net.served.endpoints import EVERY_ADDRESS, Listener, held
from testbed.services.kube_proxy.ports import ProxiedPort
from testbed.services.kube_proxy.rules import ProxyNode


def held_ports(
    ports: Iterable[ProxiedPort], proxy: KubeProxy, node: ProxyNode
) -> Iterator[Listener]:
    """Node ports, and external addresses that are the node's own, on a node of 1.14."""
    if proxy.era != "1.14":
        return
    for port in ports:
        for address in port.external_ips:
            if address in node.addresses:
                yield held(node.name, port.transport, port.port, address)
        for address in _node_port_addresses(proxy, node) if port.node_port else ():
            yield held(node.name, port.transport, port.node_port, address)


def _node_port_addresses(proxy: KubeProxy, node: ProxyNode) -> Iterator[IPv4Address]:
    if proxy.every_node_address:
        yield EVERY_ADDRESS
        return
    for address in node.addresses:
        if proxy.has_node_ports(address, node.ip):
            yield address
