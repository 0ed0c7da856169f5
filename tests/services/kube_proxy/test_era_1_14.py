"""kube-proxy's rules, letter by letter as `iptables-save` shows them on a node of 2019."""

from ipaddress import IPv4Address, IPv4Network

import pytest

from testbed.kubernetes.kube_proxy import KubeProxy
from testbed.net.facts import Chain, ChainPiece, Sysctl
from testbed.net.netfilter.iptables import merge
from testbed.services.endpoints import Backend
from testbed.services.kube_proxy.node import node_facts
from testbed.services.kube_proxy.ports import ProxiedPort
from testbed.services.kube_proxy.rules import ProxyNode, probability
from testbed.services.kubelet import kubelet_facts

PODS = IPv4Network("100.65.0.0/16")
LOCAL = Backend(IPv4Address("100.65.129.11"), 8080, "na", "web-0")
REMOTE = Backend(IPv4Address("100.65.130.11"), 8080, "nb", "web-1")
WEB = ProxiedPort(
    name="default/web:",
    protocol="tcp",
    cluster_ip=IPv4Address("100.64.31.116"),
    port=80,
    node_port=31787,
    backends=(LOCAL, REMOTE),
)
GONE = ProxiedPort(
    name="default/gone:",
    protocol="tcp",
    cluster_ip=IPv4Address("100.64.1.1"),
    port=80,
    node_port=30001,
)


NODE = ProxyNode(name="na")


def proxy(cidr: IPv4Network | None) -> KubeProxy:
    return KubeProxy(era="1.14", cluster_cidr=cidr)


def chains(*ports: ProxiedPort, cidr: IPv4Network | None = PODS) -> dict[str, list[str]]:
    """The rules of node `na`, by table and chain."""
    facts = [*kubelet_facts("na", proxy(cidr)), *node_facts([NODE], ports, proxy(cidr))]
    own = [fact for fact in facts if isinstance(fact, Chain)]
    shared = merge(fact for fact in facts if isinstance(fact, ChainPiece))
    return {
        f"{one.table} {one.name}": [str(rule) for rule in one.rules] for one in (*own, *shared)
    }


def test_the_worked_example():
    """A Service with a local and a remote endpoint and a node port."""
    found = chains(WEB)

    to_it = '-d 100.64.31.116/32 -p tcp -m comment --comment "default/web: cluster IP" -m tcp'
    assert found["nat KUBE-SERVICES"][:2] == [
        f"! -s 100.65.0.0/16 {to_it} --dport 80 -j KUBE-MARK-MASQ",
        f"{to_it} --dport 80 -j KUBE-SVC-BIJGBSD4RZCCZX5R",
    ]
    to_node = '-p tcp -m comment --comment "default/web:" -m tcp --dport 31787'
    assert found["nat KUBE-NODEPORTS"] == [
        f"{to_node} -j KUBE-MARK-MASQ",
        f"{to_node} -j KUBE-SVC-BIJGBSD4RZCCZX5R",
    ]
    assert found["nat KUBE-SVC-BIJGBSD4RZCCZX5R"] == [
        "-m statistic --mode random --probability 0.50000000000 -j KUBE-SEP-3LOXRDF3ACOG6RRQ",
        "-j KUBE-SEP-G3TO2R6K3VEQ4CZG",
    ]
    assert found["nat KUBE-SEP-3LOXRDF3ACOG6RRQ"] == [
        "-s 100.65.129.11/32 -j KUBE-MARK-MASQ",
        "-p tcp -m tcp -j DNAT --to-destination 100.65.129.11:8080",
    ]
    assert found["nat KUBE-SEP-G3TO2R6K3VEQ4CZG"] == [
        "-s 100.65.130.11/32 -j KUBE-MARK-MASQ",
        "-p tcp -m tcp -j DNAT --to-destination 100.65.130.11:8080",
    ]


PORTALS = '-m comment --comment "kubernetes service portals" -j KUBE-SERVICES'
NEW = "-m conntrack --ctstate NEW"
EXTERNAL = "kubernetes externally-visible service portals"
NAT = {
    "nat KUBE-MARK-DROP": ["-j MARK --set-xmark 0x8000/0x8000"],
    "nat KUBE-MARK-MASQ": ["-j MARK --set-xmark 0x4000/0x4000"],
    "nat KUBE-POSTROUTING": [
        '-m comment --comment "kubernetes service traffic requiring SNAT" '
        "-m mark --mark 0x4000/0x4000 -j MASQUERADE"
    ],
    "nat KUBE-SERVICES": [
        '-m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule'
        ' in this chain" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS'
    ],
    "nat KUBE-NODEPORTS": [],
    "nat PREROUTING": [PORTALS],
    "nat OUTPUT": [PORTALS],
    "nat POSTROUTING": ['-m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING'],
}
FILTER = {
    "filter KUBE-SERVICES": [],
    "filter KUBE-EXTERNAL-SERVICES": [],
    "filter KUBE-FIREWALL": [
        '-m comment --comment "kubernetes firewall for dropping marked packets" '
        "-m mark --mark 0x8000/0x8000 -j DROP"
    ],
    "filter KUBE-FORWARD": [
        '-m comment --comment "kubernetes forwarding rules" '
        "-m mark --mark 0x4000/0x4000 -j ACCEPT",
        "-s 100.65.0.0/16 -m comment --comment "
        '"kubernetes forwarding conntrack pod source rule" '
        "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        "-d 100.65.0.0/16 -m comment --comment "
        '"kubernetes forwarding conntrack pod destination rule" '
        "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    ],
    "filter INPUT": [
        f"{NEW} {PORTALS}",
        f'{NEW} -m comment --comment "{EXTERNAL}" -j KUBE-EXTERNAL-SERVICES',
        "-j KUBE-FIREWALL",
    ],
    "filter FORWARD": [
        '-m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD',
        f"{NEW} {PORTALS}",
    ],
    "filter OUTPUT": [f"{NEW} {PORTALS}", "-j KUBE-FIREWALL"],
}


def test_what_is_there_without_any_service():
    """kubelet's and kube-proxy's own chains, and their jumps in the order they end up in."""
    assert chains() == NAT | FILTER


def test_without_a_cluster_cidr_no_rule_tells_pods_from_others():
    """EKS: pods have the VPC's addresses, and kube-proxy is not told which."""
    found = chains(WEB, cidr=None)

    assert len(found["nat KUBE-SERVICES"]) == 2
    assert len(found["filter KUBE-FORWARD"]) == 1
    assert not any("! -s" in rule for rules in found.values() for rule in rules)


def test_without_endpoints_connections_are_refused():
    """In table filter; table nat knows nothing of such a Service."""
    found = chains(GONE)

    comment = '-m comment --comment "default/gone: has no endpoints"'
    reject = "-j REJECT --reject-with icmp-port-unreachable"
    assert found["filter KUBE-SERVICES"] == [
        f"-d 100.64.1.1/32 -p tcp {comment} -m tcp --dport 80 {reject}"
    ]
    assert found["filter KUBE-EXTERNAL-SERVICES"] == [
        f"-p tcp {comment} -m addrtype --dst-type LOCAL -m tcp --dport 30001 {reject}"
    ]
    assert not any(
        "gone" in rule for key, rules in found.items() if "nat" in key for rule in rules
    )


def test_services_come_in_the_topologys_order_and_node_ports_last():
    """kube-proxy's own order is random; the last rule is the last rule."""
    other = ProxiedPort(
        name="default/dns:dns",
        protocol="udp",
        cluster_ip=IPv4Address("100.64.0.2"),
        port=53,
        backends=(LOCAL,),
    )

    rules = chains(other, WEB)["nat KUBE-SERVICES"]

    assert [rule.count("default/dns:dns") for rule in rules] == [1, 1, 0, 0, 0]
    assert "-p udp" in rules[0]
    assert "-m udp --dport 53" in rules[0]
    assert rules[-1].endswith("-j KUBE-NODEPORTS")


def test_every_node_has_the_same_chains():
    facts = list(node_facts([NODE, ProxyNode(name="nb")], [WEB], proxy(PODS)))

    by_node = {
        node: {
            (fact.table, fact.name, fact.rules)
            for fact in facts
            if isinstance(fact, Chain) and fact.ns == node
        }
        for node in ("na", "nb")
    }
    assert by_node["na"] == by_node["nb"]


def test_every_rule_says_what_it_is_for():
    rules = [
        rule
        for fact in node_facts([NODE], [WEB, GONE], proxy(PODS))
        if isinstance(fact, Chain | ChainPiece)
        for rule in fact.rules
    ]

    assert [rule.text for rule in rules if not rule.why] == []


def test_addresses_of_127_are_routed_for_node_ports():
    facts = node_facts([NODE], [], proxy(PODS))
    settings = {fact.name: fact.value for fact in facts if isinstance(fact, Sysctl)}

    assert settings["net.ipv4.conf.all.route_localnet"] == "1"


@pytest.mark.parametrize(
    ("count", "printed"),
    [
        (2, "0.50000000000"),
        (3, "0.33332999982"),
        (4, "0.25000000000"),
        (5, "0.20000000019"),
        (6, "0.16667000018"),
        (7, "0.14286000002"),
    ],
)
def test_a_chance_is_five_decimals_as_the_kernel_keeps_them(count: int, printed: str):
    assert probability("1.14", count) == printed
