"""Today's rules, letter by letter as `iptables-save` shows them (kubernetes v1.30)."""

from tests.services.kube_proxy.conftest import Rendered
from tests.services.kube_proxy.manifests import (
    AFFINE,
    BALANCED,
    ELSEWHERE,
    ENDPOINTS,
    EXT,
    EXTERNAL,
    FW,
    LOCAL,
    NODE_PORT,
    OTHER,
    OWN,
    SERVICE,
    SVC,
    SVL,
)

TO_CLUSTER_IP = '-d 172.20.0.7/32 -p tcp -m comment --comment "default/web:http cluster IP" -m tcp'

WORDS = '-m comment --comment "default/web:http'
TO_NODE_PORT = f'-p tcp {WORDS}" -m tcp --dport 31787'
DROPPED = f'{WORDS} has no local endpoints"'


def test_a_cluster_ip(rendered: Rendered):
    """Endpoints come in the order of their texts, whatever order they were written in."""
    found = rendered(SERVICE + ENDPOINTS)

    assert found["nat KUBE-SERVICES"][0] == f"{TO_CLUSTER_IP} --dport 80 -j {SVC}"
    assert found[f"nat {SVC}"] == [
        f"! -s 10.0.0.0/8 {TO_CLUSTER_IP} --dport 80 -j KUBE-MARK-MASQ",
        f'{WORDS} -> 10.2.0.22:8080" -m statistic --mode random --probability 0.50000000000'
        f" -j {OTHER}",
        f'{WORDS} -> 10.2.0.2:8080" -j {OWN}',
    ]
    assert found[f"nat {OWN}"] == [
        f'-s 10.2.0.2/32 {WORDS}" -j KUBE-MARK-MASQ',
        f'-p tcp {WORDS}" -m tcp -j DNAT --to-destination 10.2.0.2:8080',
    ]


PORTALS = '-m comment --comment "kubernetes service portals" -j KUBE-SERVICES'
NEW = "-m conntrack --ctstate NEW"
PORTALS_OUTSIDE = f'{NEW} -m comment --comment "kubernetes externally-visible service portals"'
CLIENT = f'{NEW} -m comment --comment "kubernetes load balancer firewall"'
LAST = "kubernetes service nodeports; NOTE: this must be the last rule in this chain"
NAT = {
    "mangle KUBE-PROXY-CANARY": [],
    "nat KUBE-PROXY-CANARY": [],
    "nat PREROUTING": [PORTALS],
    "nat OUTPUT": [PORTALS],
    "nat POSTROUTING": ['-m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING'],
    "nat KUBE-POSTROUTING": [
        "-m mark ! --mark 0x4000/0x4000 -j RETURN",
        "-j MARK --set-xmark 0x4000/0x0",
        '-m comment --comment "kubernetes service traffic requiring SNAT"'
        " -j MASQUERADE --random-fully",
    ],
    "nat KUBE-MARK-MASQ": ["-j MARK --set-xmark 0x4000/0x4000"],
    "nat KUBE-SERVICES": [
        f'-m comment --comment "{LAST}" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS'
    ],
    "nat KUBE-NODEPORTS": [],
}
FILTER = {
    "filter KUBE-PROXY-CANARY": [],
    "filter INPUT": [
        "-j KUBE-FIREWALL",
        f"{CLIENT} -j KUBE-PROXY-FIREWALL",
        '-m comment --comment "kubernetes health check service ports" -j KUBE-NODEPORTS',
        f"{PORTALS_OUTSIDE} -j KUBE-EXTERNAL-SERVICES",
    ],
    "filter FORWARD": [
        f"{CLIENT} -j KUBE-PROXY-FIREWALL",
        '-m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD',
        f"{NEW} {PORTALS}",
        f"{PORTALS_OUTSIDE} -j KUBE-EXTERNAL-SERVICES",
    ],
    "filter OUTPUT": [
        "-j KUBE-FIREWALL",
        f"{CLIENT} -j KUBE-PROXY-FIREWALL",
        f"{NEW} {PORTALS}",
    ],
    "filter KUBE-FORWARD": [
        "-m conntrack --ctstate INVALID -j DROP",
        '-m comment --comment "kubernetes forwarding rules"'
        " -m mark --mark 0x4000/0x4000 -j ACCEPT",
        '-m comment --comment "kubernetes forwarding conntrack rule"'
        " -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    ],
    "filter KUBE-FIREWALL": [
        "! -s 127.0.0.0/8 -d 127.0.0.0/8"
        ' -m comment --comment "block incoming localnet connections"'
        " -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP"
    ],
    "filter KUBE-SERVICES": [],
    "filter KUBE-EXTERNAL-SERVICES": [],
    "filter KUBE-NODEPORTS": [],
    "filter KUBE-PROXY-FIREWALL": [],
}


def test_what_is_there_without_any_service(rendered: Rendered):
    assert rendered("") == NAT | FILTER


def test_a_node_port_leads_to_the_external_chain(rendered: Rendered):
    found = rendered(NODE_PORT + ENDPOINTS)

    assert found["nat KUBE-NODEPORTS"] == [f"{TO_NODE_PORT} -j {EXT}"]
    assert found[f"nat {EXT}"] == [
        '-m comment --comment "masquerade traffic for default/web:http external destinations"'
        " -j KUBE-MARK-MASQ",
        f"-j {SVC}",
    ]


def test_external_policy_local_is_for_what_comes_from_outside(rendered: Rendered):
    """Pods and the node itself reach any endpoint; others the node's own."""
    found = rendered(LOCAL + ENDPOINTS)

    external = "for default/web:http external destinations"
    assert found[f"nat {EXT}"] == [
        f'-s 10.0.0.0/8 -m comment --comment "pod traffic {external}" -j {SVC}',
        f'-m comment --comment "masquerade LOCAL traffic {external}"'
        " -m addrtype --src-type LOCAL -j KUBE-MARK-MASQ",
        f'-m comment --comment "route LOCAL traffic {external}"'
        f" -m addrtype --src-type LOCAL -j {SVC}",
        f"-j {SVL}",
    ]
    assert found[f"nat {SVL}"] == [f'{WORDS} -> 10.2.0.2:8080" -j {OWN}']
    assert found["filter KUBE-EXTERNAL-SERVICES"] == []


def test_external_policy_local_without_an_endpoint_here_drops(rendered: Rendered):
    """The rules for pods and the node stay."""
    found = rendered(LOCAL + ELSEWHERE)

    assert len(found[f"nat {EXT}"]) == 3
    assert f"nat {SVL}" not in found
    assert found["filter KUBE-EXTERNAL-SERVICES"] == [
        f"-p tcp {DROPPED} -m addrtype --dst-type LOCAL -m tcp --dport 31787 -j DROP"
    ]


def test_internal_policy_local(rendered: Rendered):
    internal = SERVICE + "  internalTrafficPolicy: Local\n"

    here, elsewhere = rendered(internal + ENDPOINTS), rendered(internal + ELSEWHERE)

    assert here["nat KUBE-SERVICES"][0] == f"{TO_CLUSTER_IP} --dport 80 -j {SVL}"
    assert here[f"nat {SVL}"] == [
        f"! -s 10.0.0.0/8 {TO_CLUSTER_IP} --dport 80 -j KUBE-MARK-MASQ",
        f'{WORDS} -> 10.2.0.2:8080" -j {OWN}',
    ]
    assert f"nat {SVC}" not in here
    assert f"nat {OTHER}" not in here
    assert elsewhere["filter KUBE-SERVICES"] == [
        f"-d 172.20.0.7/32 -p tcp {DROPPED} -m tcp --dport 80 -j DROP"
    ]
    assert not [chain for chain in elsewhere if "KUBE-S" in chain and "SERVICES" not in chain]


def test_a_load_balancer_with_source_ranges(rendered: Rendered):
    """The second range has the node, whose own packets may carry the balancer's address."""
    found = rendered(BALANCED + ENDPOINTS)

    to_it = f'-d 203.0.113.9/32 -p tcp {WORDS} loadbalancer IP" -m tcp --dport 80'
    assert found["nat KUBE-SERVICES"][1] == f"{to_it} -j {FW}"
    words = f'{WORDS} loadbalancer IP"'
    assert found[f"nat {FW}"] == [
        f"-s 198.51.100.0/24 {words} -j {EXT}",
        f"-s 10.1.0.0/16 {words} -j {EXT}",
        f"-s 203.0.113.9/32 {words} -j {EXT}",
        '-m comment --comment "other traffic to default/web:http will be dropped by'
        ' KUBE-PROXY-FIREWALL"',
    ]
    assert found["filter KUBE-PROXY-FIREWALL"] == [
        f'-d 203.0.113.9/32 -p tcp {WORDS} traffic not accepted by {FW}" -m tcp --dport 80 -j DROP'
    ]
    assert found["nat KUBE-NODEPORTS"] == [f"{TO_NODE_PORT} -j {EXT}"]


def test_a_load_balancer_for_everybody_has_no_firewall(rendered: Rendered):
    everybody = BALANCED.replace("198.51.100.0/24, 10.1.0.0/16", "")

    found = rendered(everybody + ENDPOINTS)

    assert found["nat KUBE-SERVICES"][1].endswith(f"-j {EXT}")
    assert f"nat {FW}" not in found


def test_the_whole_world_as_a_source_is_no_match(rendered: Rendered):
    """iptables prints `-s 0.0.0.0/0` as nothing."""
    world = BALANCED.replace("198.51.100.0/24, 10.1.0.0/16", "0.0.0.0/0")

    assert rendered(world + ENDPOINTS)[f"nat {FW}"][0] == (
        f'-m comment --comment "default/web:http loadbalancer IP" -j {EXT}'
    )


def test_an_external_address(rendered: Rendered):
    found = rendered(EXTERNAL + ENDPOINTS)

    assert found["nat KUBE-SERVICES"][1] == (
        f'-d 203.0.113.7/32 -p tcp {WORDS} external IP" -m tcp --dport 80 -j {EXT}'
    )


def test_without_endpoints_every_address_refuses(rendered: Rendered):
    found = rendered(BALANCED + "---" + EXTERNAL.replace("name: web", "name: ext"))

    refuse = "-j REJECT --reject-with icmp-port-unreachable"
    words = f'{WORDS} has no endpoints"'
    assert found["filter KUBE-SERVICES"][0] == (
        f"-d 172.20.0.7/32 -p tcp {words} -m tcp --dport 80 {refuse}"
    )
    assert found["filter KUBE-EXTERNAL-SERVICES"] == [
        f"-d 203.0.113.9/32 -p tcp {words} -m tcp --dport 80 {refuse}",
        f"-p tcp {words} -m addrtype --dst-type LOCAL -m tcp --dport 31787 {refuse}",
        f"-d 203.0.113.7/32 -p tcp {words.replace('web', 'ext')} -m tcp --dport 80 {refuse}",
    ]


def test_affinity_comes_before_the_draw(rendered: Rendered):
    found = rendered(AFFINE + ENDPOINTS)

    same = "--mask 255.255.255.255 --rsource"
    assert found[f"nat {SVC}"][1:3] == [
        f'{WORDS} -> {endpoint}" -m recent --rcheck --seconds 10800 --reap --name {chain} {same}'
        f" -j {chain}"
        for endpoint, chain in (("10.2.0.22:8080", OTHER), ("10.2.0.2:8080", OWN))
    ]
    assert found[f"nat {OWN}"][1] == (
        f'-p tcp {WORDS}" -m recent --set --name {OWN} {same}'
        " -m tcp -j DNAT --to-destination 10.2.0.2:8080"
    )


def test_a_health_check_is_accepted_on_every_node(rendered: Rendered):
    checked = LOCAL.replace("NodePort\n", "LoadBalancer\n  healthCheckNodePort: 30123\n")

    assert rendered(checked + ELSEWHERE)["filter KUBE-NODEPORTS"] == [
        f'-p tcp {WORDS} health check node port" -m tcp --dport 30123 -j ACCEPT'
    ]
