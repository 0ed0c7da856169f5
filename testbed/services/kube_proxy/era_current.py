"""The rules today's kube-proxy writes for one port of a Service, in the order it writes them.

Source: kubernetes v1.30, pkg/proxy/iptables/proxier.go, syncProxyRules.
"""

from collections.abc import Iterator

from testbed.kubernetes.kube_proxy import KubeProxy
from testbed.services.kube_proxy.choice import Chosen, choose
from testbed.services.kube_proxy.ports import ProxiedPort
from testbed.services.kube_proxy.rules import (
    DESTINATION_LOCAL,
    EXTERNAL_SERVICES,
    NODE_PORTS,
    REJECT,
    SERVICES,
    SOURCE_LOCAL,
    Line,
    LocalTraffic,
    ProxyNode,
    comment,
    destination,
    filter_,
    local_traffic,
    nat,
    source,
    spread,
    stick,
    targets,
    to_port,
    translate,
)
from testbed.services.kubelet import MARK_MASQUERADE

FIREWALL = "KUBE-PROXY-FIREWALL"


def port_rules(
    port: ProxiedPort, proxy: KubeProxy, node: ProxyNode, *, silent: bool = False
) -> Iterator[Line]:
    """The rules of a port on a node.

    silent: without comments in the chains of endpoints, which more than 1000 in a cluster make so.
    """
    chosen = choose(port, node)
    pods = local_traffic(proxy, node)
    yield from _capture(port, chosen)
    if chosen.anywhere and (chosen.local or not port.internal_local):
        yield from _masquerade_cluster_ip(port, proxy, pods)
    if chosen.anywhere and port.externally_accessible:
        yield from _external(port, chosen, pods)
    if chosen.anywhere and _has_firewall(port):
        yield from _firewall(port, node)
    of_cluster, own = targets(port, chosen.cluster), targets(port, chosen.local)
    for chain, to in ((port.chain("SVC"), of_cluster), (port.chain("SVL"), own)):
        words = ["" if silent else comment(f"{port.name} -> {one.endpoint}") for one in to]
        yield from stick(port, chain, to, words)
        yield from spread("current", chain, to, words)
    for target in dict.fromkeys((*of_cluster, *own)):
        yield from translate(port, target, "" if silent else comment(port.name))


def _capture(port: ProxiedPort, chosen: Chosen) -> Iterator[Line]:
    """In the chains that all Services share: whose packet is it?"""
    yield from _capture_cluster_ip(port, chosen)
    refused = not chosen.anywhere or (port.external_local and not chosen.local)
    external = port.chain("EXT")
    for address in port.external_ips:
        first = destination(address)
        if chosen.anywhere:
            to_it = to_port(port, f"{port.name} external IP", port.port, first=first)
            why = f"to an external address of {port.title}"
            yield nat(SERVICES, f"{to_it}-j {external}", why)
        if refused:
            yield _refuse(port, chosen, EXTERNAL_SERVICES, port.port, first=first)
    yield from _capture_load_balancer(port, chosen, refused)
    if port.node_port:
        if chosen.anywhere:
            to_it = to_port(port, port.name, port.node_port)
            yield nat(NODE_PORTS, f"{to_it}-j {external}", f"to the node port of {port.title}")
        if refused:
            yield _refuse(port, chosen, EXTERNAL_SERVICES, port.node_port, more=DESTINATION_LOCAL)
    if port.health_check_node_port:
        text = (
            f"-p tcp {comment(f'{port.name} health check node port')}"
            f"-m tcp --dport {port.health_check_node_port} -j ACCEPT"
        )
        yield filter_(NODE_PORTS, text, "load balancers ask which nodes have an endpoint")


def _capture_cluster_ip(port: ProxiedPort, chosen: Chosen) -> Iterator[Line]:
    first = destination(port.cluster_ip)
    if chosen.anywhere and (chosen.local or not port.internal_local):
        to_it = to_port(port, f"{port.name} cluster IP", port.port, first=first)
        chain = port.chain("SVL" if port.internal_local else "SVC")
        why = f"to the ClusterIP of {port.title}: choose an endpoint"
        yield nat(SERVICES, f"{to_it}-j {chain}", why)
    else:
        yield _refuse(port, chosen, SERVICES, port.port, first=first)


def _capture_load_balancer(port: ProxiedPort, chosen: Chosen, refused: bool) -> Iterator[Line]:
    firewalled = chosen.anywhere and _has_firewall(port)
    for address in port.load_balancer_ips:
        first = destination(address)
        if chosen.anywhere:
            to_it = to_port(port, f"{port.name} loadbalancer IP", port.port, first=first)
            why = f"to the load balancer of {port.title}"
            chain = port.chain("FW" if firewalled else "EXT")
            yield nat(SERVICES, f"{to_it}-j {chain}", why)
        if firewalled:
            words = f"{port.name} traffic not accepted by {port.chain('FW')}"
            text = f"{to_port(port, words, port.port, first=first)}-j DROP"
            yield filter_(FIREWALL, text, "no allowed client of the load balancer")
    if refused:
        for address in port.load_balancer_ips:
            first = destination(address)
            yield _refuse(port, chosen, EXTERNAL_SERVICES, port.port, first=first)


def _refuse(
    port: ProxiedPort, chosen: Chosen, chain: str, number: int, *, first: str = "", more: str = ""
) -> Line:
    """Refused at once where there is no endpoint at all, dropped where only this node has none."""
    if chosen.anywhere:
        words, target = f"{port.name} has no local endpoints", "DROP"
        why = f"the policy is Local and no endpoint of {port.title} is on this node"
    else:
        words, target = f"{port.name} has no endpoints", REJECT
        why = f"{port.title} has no endpoints: refuse at once rather than let callers wait"
    to_it = to_port(port, words, number, first=first, more=more)
    return filter_(chain, f"{to_it}-j {target}", why)


def _masquerade_cluster_ip(
    port: ProxiedPort, proxy: KubeProxy, pods: LocalTraffic | None
) -> Iterator[Line]:
    """The first rule of the chain that serves the ClusterIP."""
    to = destination(port.cluster_ip)
    if proxy.masquerade_all:
        first, why = to, "--masquerade-all: every answer has to come back here"
    elif pods:
        first = pods.match(to, negated=True)
        why = "not from a pod of this node: the answer has to come back here"
    else:
        return
    to_it = to_port(port, f"{port.name} cluster IP", port.port, first=first)
    chain = port.chain("SVL" if port.internal_local else "SVC")
    yield nat(chain, f"{to_it}-j {MARK_MASQUERADE}", why)


def _external(port: ProxiedPort, chosen: Chosen, pods: LocalTraffic | None) -> Iterator[Line]:
    """KUBE-EXT: policy Local applies to what comes from outside, not to pods and the node."""
    chain, cluster = port.chain("EXT"), port.chain("SVC")

    def words(text: str) -> str:
        return comment(text.format(f"for {port.name} external destinations"))

    if not port.external_local:
        why = "from outside: the endpoint may be elsewhere, the answer has to come back here"
        yield nat(chain, f"{words('masquerade traffic {}')}-j {MARK_MASQUERADE}", why)
        yield nat(chain, f"-j {cluster}", "choose an endpoint")
        return
    if pods:
        why = "a pod of this node: any endpoint, as if it had gone out and come back"
        yield nat(chain, f"{pods.match()}{words('pod traffic {}')}-j {cluster}", why)
    why = "from the node itself: the answer has to come back here"
    local = SOURCE_LOCAL
    text = f"{words('masquerade LOCAL traffic {}')}{local}-j {MARK_MASQUERADE}"
    yield nat(chain, text, why)
    yield nat(chain, f"{words('route LOCAL traffic {}')}{local}-j {cluster}", "any endpoint")
    if chosen.local:
        yield nat(chain, f"-j {port.chain('SVL')}", "from outside: an endpoint of this node")


def _has_firewall(port: ProxiedPort) -> bool:
    return bool(port.load_balancer_ips and port.source_ranges)


def _firewall(port: ProxiedPort, node: ProxyNode) -> Iterator[Line]:
    """KUBE-FW: what it does not send on is not translated, and dropped by KUBE-PROXY-FIREWALL."""
    chain, words = port.chain("FW"), comment(f"{port.name} loadbalancer IP")
    clients = [source(one) for one in port.source_ranges]
    if any(node.ip in one for one in port.source_ranges if node.ip):
        # a node's own packets to an address it has carry that address
        clients += [f"-s {address}/32 " for address in port.load_balancer_ips]
    for client in clients:
        yield nat(chain, f"{client}{words}-j {port.chain('EXT')}", "an allowed client")
    rest = f"other traffic to {port.name} will be dropped by {FIREWALL}"
    yield nat(chain, comment(rest).rstrip(), "only a note: nothing happens here")
