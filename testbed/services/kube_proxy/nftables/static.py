"""What the table has without any Service: base chains, the maps and sets, and who asks them."""

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address

from testbed.kubernetes.kube_proxy import KubeProxy
from testbed.net.facts import ChainRule, Fact, NftChain, NftElement, NftSet
from testbed.services.kube_proxy.rules import LOOPBACK, ProxyNode

FAMILY, TABLE = "ip", "kube-proxy"
WHY = "kube-proxy's own (kubernetes v1.30, nftables mode)"

SERVICE_IPS, NODE_PORTS = "service-ips", "service-nodeports"
NO_ENDPOINT_SERVICES, NO_ENDPOINT_NODE_PORTS = "no-endpoint-services", "no-endpoint-nodeports"
FIREWALL_IPS, CLUSTER_IPS, NODE_PORT_IPS = "firewall-ips", "cluster-ips", "nodeport-ips"
MARK_MASQUERADE, REJECT = "mark-for-masquerade", "reject-chain"

ADDRESS, PORT = "ipv4_addr", "inet_proto . inet_service"
DESTINATION, CALLED = "ip daddr . meta l4proto . th dport", "meta l4proto . th dport"
NOT_LOCALHOST = f"ip daddr != {LOOPBACK}"
INVALID_PORTS = "Reject traffic to invalid ports of ClusterIPs"

# By name: type of key and of value, and the comment
SETS: Mapping[str, tuple[str, str, str]] = {
    CLUSTER_IPS: (ADDRESS, "", "Active ClusterIPs"),
    NODE_PORT_IPS: (ADDRESS, "", "IPs that accept NodePort traffic"),
    NO_ENDPOINT_SERVICES: (
        f"{ADDRESS} . {PORT}",
        "verdict",
        "vmap to drop or reject packets to services with no endpoints",
    ),
    NO_ENDPOINT_NODE_PORTS: (
        PORT,
        "verdict",
        "vmap to drop or reject packets to service nodeports with no endpoints",
    ),
    FIREWALL_IPS: (
        f"{ADDRESS} . {PORT}",
        "verdict",
        "destinations that are subject to LoadBalancerSourceRanges",
    ),
    SERVICE_IPS: (
        f"{ADDRESS} . {PORT}",
        "verdict",
        "ClusterIP, ExternalIP and LoadBalancer IP traffic",
    ),
    NODE_PORTS: (PORT, "verdict", "NodePort traffic"),
}

_REFUSE = "a new connection: is it for a Service without endpoints?"
_ALLOWED = "a new connection: is it to a load balancer that does not take this client?"
_NO_RULE = "a new connection that nobody translated: is it for a ClusterIP?"
_TRANSLATE = "is it for a Service?"
# By base chain: its hook, and where it jumps to, with the reason
BASE_CHAINS: Mapping[str, tuple[str, tuple[tuple[str, str], ...]]] = {
    "filter-prerouting": (
        "type filter hook prerouting priority dstnat - 10",
        (("ct state new jump firewall-check", _ALLOWED),),
    ),
    "filter-input": (
        "type filter hook input priority -110",
        (
            ("ct state new jump nodeport-endpoints-check", _REFUSE),
            ("ct state new jump service-endpoints-check", _REFUSE),
        ),
    ),
    "filter-forward": (
        "type filter hook forward priority -110",
        (
            ("ct state new jump service-endpoints-check", _REFUSE),
            ("ct state new jump cluster-ips-check", _NO_RULE),
        ),
    ),
    "filter-output": (
        "type filter hook output priority -110",
        (
            ("ct state new jump service-endpoints-check", _REFUSE),
            ("ct state new jump firewall-check", _ALLOWED),
        ),
    ),
    "filter-output-post-dnat": (
        "type filter hook output priority -90",
        (("ct state new jump cluster-ips-check", _NO_RULE),),
    ),
    "nat-prerouting": (
        "type nat hook prerouting priority dstnat",
        (("jump services", _TRANSLATE),),
    ),
    "nat-output": ("type nat hook output priority -100", (("jump services", _TRANSLATE),)),
    "nat-postrouting": (
        "type nat hook postrouting priority srcnat",
        (("jump masquerading", "leaving the node: was it noted that it needs its address?"),),
    ),
}


def table_facts(proxy: KubeProxy, node: ProxyNode) -> Iterator[Fact]:
    """All of it on a node."""
    for name, (hook, jumps) in BASE_CHAINS.items():
        rules = tuple(ChainRule(text, why) for text, why in jumps)
        yield chain(node.name, name, rules, hook=f"{hook}; policy accept;")
    for name, rules in _chains(proxy).items():
        yield chain(node.name, name, rules)
    for name, (key, value, comment) in SETS.items():
        if name != NODE_PORT_IPS or not proxy.every_node_address:
            yield _set(node.name, name, key, value, comment)
    for address in _node_port_ips(proxy, node):
        why = "node ports are on this address of the node"
        yield element(node.name, NODE_PORT_IPS, str(address), why=why)


def chain(ns: str, name: str, rules: tuple[ChainRule, ...], *, hook: str = "") -> NftChain:
    """A chain of the table."""
    return NftChain(ns=ns, family=FAMILY, table=TABLE, name=name, hook=hook, rules=rules, why=WHY)


def element(ns: str, of: str, key: str, value: str = "", *, why: str) -> NftElement:
    """An element of one of its sets, or with a value of one of its maps."""
    return NftElement(ns=ns, family=FAMILY, table=TABLE, set=of, element=key, value=value, why=why)


def _set(ns: str, name: str, key: str, value: str, comment: str) -> NftSet:
    return NftSet(
        ns=ns,
        family=FAMILY,
        table=TABLE,
        name=name,
        key_type=key,
        value_type=value,
        options=(f'comment "{comment}"',),
        why=WHY,
    )


def _chains(proxy: KubeProxy) -> dict[str, tuple[ChainRule, ...]]:
    """The chains that the base chains jump to, and those that Services' own do."""
    mark = f"0x{1 << proxy.masquerade_bit:08x}"
    limited = (f"ip daddr @{NODE_PORT_IPS}",) * 2
    every = (f"fib daddr type local {NOT_LOCALHOST}", NOT_LOCALHOST)  # to the input hook: local
    own, refusing = every if proxy.every_node_address else limited
    by_port = f"{own} {CALLED} vmap @{NODE_PORTS}"
    refused = f"{refusing} {CALLED} vmap @{NO_ENDPOINT_NODE_PORTS}"
    return {
        "services": (
            ChainRule(f"{DESTINATION} vmap @{SERVICE_IPS}", "whose address and port is it?"),
            ChainRule(by_port, "to one of the node's own addresses: whose node port is it?"),
        ),
        "service-endpoints-check": (
            ChainRule(f"{DESTINATION} vmap @{NO_ENDPOINT_SERVICES}", "has it an endpoint?"),
        ),
        "nodeport-endpoints-check": (ChainRule(refused, "has it an endpoint?"),),
        "firewall-check": (
            ChainRule(f"{DESTINATION} vmap @{FIREWALL_IPS}", "whose clients are limited?"),
        ),
        "cluster-ips-check": (
            ChainRule(
                f'ip daddr @{CLUSTER_IPS} reject comment "{INVALID_PORTS}"',
                "a ClusterIP, and no port of its Service: refuse at once",
            ),
        ),
        REJECT: (ChainRule("reject", "refuse at once rather than let callers wait"),),
        MARK_MASQUERADE: (
            ChainRule(
                f"meta mark set meta mark | {mark}",
                "note on the packet: give it this node's address when it leaves",
            ),
        ),
        "masquerading": _masquerading(mark),
    }


def _masquerading(mark: str) -> tuple[ChainRule, ...]:
    return (
        ChainRule(
            f"meta mark & {mark} == 0x00000000 return",
            "it was not noted that the packet needs this node's address",
        ),
        ChainRule(
            f"meta mark set meta mark ^ {mark}",
            "take the note off: the packet may come by again",
        ),
        ChainRule(
            "masquerade fully-random",
            "noted before: the packet gets this node's address, so the answer comes back here",
        ),
    )


def _node_port_ips(proxy: KubeProxy, node: ProxyNode) -> Iterator[IPv4Address]:
    """The node's own address alone, if nothing else is said; never 127.0.0.1."""
    if not proxy.every_node_address:
        for address in node.addresses:
            if not address.is_loopback and proxy.has_node_ports(address, node.ip):
                yield address
