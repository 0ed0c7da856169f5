"""The rules kube-proxy 1.14 writes for one port of a Service, in the order it writes them.

Source: kubernetes v1.14, pkg/proxy/iptables/proxier.go, syncProxyRules.
"""

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address

from testbed.kubernetes.kube_proxy import KubeProxy
from testbed.services.kube_proxy.ports import ProxiedPort
from testbed.services.kube_proxy.rules import (
    DESTINATION_LOCAL,
    EXTERNAL_SERVICES,
    LOOPBACK,
    NODE_PORTS,
    REJECT,
    SERVICES,
    Line,
    ProxyNode,
    Target,
    comment,
    destination,
    filter_,
    nat,
    source,
    spread,
    stick,
    targets,
    to_port,
    translate,
)
from testbed.services.kubelet import MARK_DROP, MARK_MASQUERADE

NOT_FROM_A_BRIDGE = "-m physdev ! --physdev-is-in -m addrtype ! --src-type LOCAL "


def port_rules(port: ProxiedPort, proxy: KubeProxy, node: ProxyNode) -> Iterator[Line]:
    """The rules of a port on a node."""
    if port.external_local:
        yield Line("nat", port.chain("XLB"), None)
    ready = [backend for backend in port.backends if backend.ready]
    if not ready:
        yield from _rejects(port)
        return
    yield from _cluster_ip(port, proxy)
    for address in port.external_ips:
        yield from _external_ip(port, address)
    for address in port.load_balancer_ips:
        yield from _load_balancer(port, address, node)
    if port.node_port:
        yield from _node_port(port)
    # without comments: the helper that should add them drops its result (until 1.17)
    endpoints, silent = targets(port, ready), [""] * len(ready)
    yield from stick(port, port.chain("SVC"), endpoints, silent)
    yield from spread("1.14", port.chain("SVC"), endpoints, silent)
    for target in endpoints:
        yield from translate(port, target, "")
    if port.external_local:
        local = [target for target in endpoints if node.name and target.node == node.name]
        yield from _local(port, proxy, local)


def _cluster_ip(port: ProxiedPort, proxy: KubeProxy) -> Iterator[Line]:
    """`-d 100.64.31.116/32 -p tcp -m comment --comment "default/web: cluster IP" …`."""
    to_it = to_port(port, f"{port.name} cluster IP", port.port, first=destination(port.cluster_ip))
    if proxy.masquerade_all:
        why = "--masquerade-all: every answer has to come back here"
        yield nat(SERVICES, f"{to_it}-j {MARK_MASQUERADE}", why)
    elif proxy.cluster_cidr:
        why = "not from a pod, from the node itself say: the answer has to come back here"
        yield nat(SERVICES, f"! -s {proxy.cluster_cidr} {to_it}-j {MARK_MASQUERADE}", why)
    why = f"to the ClusterIP of {port.title}: choose an endpoint"
    yield nat(SERVICES, f"{to_it}-j {port.chain('SVC')}", why)


def _external_ip(port: ProxiedPort, address: IPv4Address) -> Iterator[Line]:
    """From off the machine, or to an address the node has; its pods' packets leave the node."""
    to_it = to_port(port, f"{port.name} external IP", port.port, first=destination(address))
    chain = port.chain("SVC")
    why = "by an external address: the answer has to come back here"
    yield nat(SERVICES, f"{to_it}-j {MARK_MASQUERADE}", why)
    why = f"from outside to an external address of {port.title}: choose an endpoint"
    yield nat(SERVICES, f"{to_it}{NOT_FROM_A_BRIDGE}-j {chain}", why)
    why = f"an external address of {port.title} that this node has: choose an endpoint"
    yield nat(SERVICES, f"{to_it}{DESTINATION_LOCAL}-j {chain}", why)


def _load_balancer(port: ProxiedPort, address: IPv4Address, node: ProxyNode) -> Iterator[Line]:
    """KUBE-FW checks the client; where packets are marked to be dropped, nothing is translated."""
    words = f"{port.name} loadbalancer IP"
    chain = port.chain("FW")
    to_it = to_port(port, words, port.port, first=destination(address))
    why = f"to the load balancer of {port.title}: is the client allowed?"
    yield nat(SERVICES, f"{to_it}-j {chain}", why)
    if not port.external_local:
        why = "by a load balancer: the endpoint may be elsewhere, the answer has to come back here"
        yield nat(chain, f"{comment(words)}-j {MARK_MASQUERADE}", why)
    chosen = port.chain("XLB" if port.external_local else "SVC")
    allowed = [source(one) for one in port.source_ranges] or [""]
    if any(node.ip in one for one in port.source_ranges if node.ip):
        allowed.append(f"-s {address}/32 ")  # a node's own packets have it as their source
    for clients in allowed:
        yield nat(chain, f"{clients}{comment(words)}-j {chosen}", "an allowed client")
    yield nat(chain, f"{comment(words)}-j {MARK_DROP}", "any other client")


def _node_port(port: ProxiedPort) -> Iterator[Line]:
    """`-p tcp -m comment --comment "default/web:" -m tcp --dport 31787 …`."""
    why = f"to the node port of {port.title}: choose an endpoint"
    to_it = to_port(port, port.name, port.node_port)
    if port.external_local:
        why_masquerade = "from the node's own loopback, which no other place may see as a source"
        yield nat(NODE_PORTS, f"{source(LOOPBACK)}{to_it}-j {MARK_MASQUERADE}", why_masquerade)
        yield nat(NODE_PORTS, f"{to_it}-j {port.chain('XLB')}", f"{why} of this node")
        return
    why_masquerade = (
        "by a node port: the endpoint may be elsewhere, the answer has to come back here"
    )
    yield nat(NODE_PORTS, f"{to_it}-j {MARK_MASQUERADE}", why_masquerade)
    yield nat(NODE_PORTS, f"{to_it}-j {port.chain('SVC')}", why)


def _local(port: ProxiedPort, proxy: KubeProxy, local: Sequence[Target]) -> Iterator[Line]:
    """externalTrafficPolicy: Local: the node's own endpoints, for pods any."""
    chain = port.chain("XLB")
    if proxy.cluster_cidr:
        words = comment("Redirect pods trying to reach external loadbalancer VIP to clusterIP")
        text = f"-s {proxy.cluster_cidr} {words}-j {port.chain('SVC')}"
        yield nat(chain, text, "a pod: any endpoint, as by the ClusterIP")
    if not local:
        text = f"{comment(f'{port.name} has no local endpoints')}-j {MARK_DROP}"
        why = f"externalTrafficPolicy is Local and no endpoint of {port.title} is on this node"
        yield nat(chain, text, why)
        return
    yield from stick(port, chain, local, [comment(port.name)] * len(local))
    numbered = [comment(f"Balancing rule {i} for {port.name}") for i in range(len(local))]
    yield from spread("1.14", chain, local, numbered)


def _rejects(port: ProxiedPort) -> Iterator[Line]:
    """Table filter, because only there a packet can be refused."""
    words = f"{port.name} has no endpoints"
    why = f"{port.title} has no endpoints: refuse at once rather than let callers wait"

    def reject(chain: str, number: int, first: str = "", more: str = "") -> Line:
        to_it = to_port(port, words, number, first=first, more=more)
        return filter_(chain, f"{to_it}-j {REJECT}", why)

    yield reject(SERVICES, port.port, destination(port.cluster_ip))
    for address in port.external_ips:
        yield reject(EXTERNAL_SERVICES, port.port, destination(address))
    for address in port.load_balancer_ips:
        yield reject(SERVICES, port.port, destination(address))
    if port.node_port:
        yield reject(EXTERNAL_SERVICES, port.node_port, more=DESTINATION_LOCAL)
