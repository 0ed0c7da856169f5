"""Today's rules, letter by letter as `iptables-save` shows them (kubernetes v1.30)."""

from typing import Any

import pytest

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


LOCALITY = {  # flags: the first words of the rules for what is, and is not, from a pod
    "ClusterCIDR": ({}, "-s 10.0.0.0/8 -m", "! -s 10.0.0.0/8 -d 172.20.0.7/32 -p"),
    "NodeCIDR": (
        {"detect_local_mode": "NodeCIDR"},
        "-s 10.2.3.0/24 -m",
        "! -s 10.2.3.0/24 -d 172.20.0.7/32 -p",
    ),
    "BridgeInterface": (
        {"detect_local_mode": "BridgeInterface", "pod_interface": "cbr0"},
        "-i cbr0 -m",
        "-d 172.20.0.7/32 ! -i cbr0 -p",
    ),
    "InterfaceNamePrefix": (
        {"detect_local_mode": "InterfaceNamePrefix", "pod_interface": "eni"},
        "-i eni+ -m",
        "-d 172.20.0.7/32 ! -i eni+ -p",
    ),
}


@pytest.mark.parametrize(("flags", "pod", "other"), LOCALITY.values(), ids=LOCALITY)
def test_pods_are_told_from_others(rendered: Rendered, flags: Any, pod: str, other: str):
    found = rendered(LOCAL + ENDPOINTS, **flags)

    assert found[f"nat {EXT}"][0].startswith(pod)
    assert found[f"nat {SVC}"][0].startswith(other)


def test_without_a_cluster_cidr_nobody_is_a_pod(rendered: Rendered):
    """EKS: nothing is masqueraded at the ClusterIP, and pods have no short way."""
    found = rendered(LOCAL + ENDPOINTS, cluster_cidr=None)

    assert not any("pod traffic" in rule for rule in found[f"nat {EXT}"])
    assert not any("KUBE-MARK-MASQ" in rule for rule in found[f"nat {SVC}"])


def test_masquerade_all(rendered: Rendered):
    found = rendered(SERVICE + ENDPOINTS, masquerade_all=True)

    assert found[f"nat {SVC}"][0] == f"{TO_CLUSTER_IP} --dport 80 -j KUBE-MARK-MASQ"


def test_node_ports_may_be_on_some_addresses_only(rendered: Rendered):
    last = '-m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule'

    some = rendered(NODE_PORT + ENDPOINTS, node_port_addresses=["10.1.0.0/16"])
    not_local = rendered(NODE_PORT + ENDPOINTS, localhost_node_ports=False)

    assert some["nat KUBE-SERVICES"][1:] == [
        f'-d 10.1.0.1/32 {last} in this chain" -j KUBE-NODEPORTS'
    ]
    assert not_local["nat KUBE-SERVICES"][1:] == [
        f'! -d 127.0.0.0/8 {last} in this chain" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS'
    ]
    assert not_local["filter KUBE-FIREWALL"] == []


def test_a_liberal_conntrack_knows_no_invalid_segment(rendered: Rendered):
    found = rendered("", conntrack_tcp_be_liberal=True)["filter KUBE-FORWARD"]

    assert len(found) == 2
    assert not any("INVALID" in rule for rule in found)


SLICE = """
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
endpoints:
- {addresses: [10.2.0.22], nodeName: other, conditions: {ready: %s}}
- {addresses: [10.2.0.2], nodeName: me, conditions: {ready: false, serving: %s, terminating: true}}
ports: [{name: http, port: 8080}]
"""


def test_who_ends_is_taken_only_when_nobody_is_ready(rendered: Rendered):
    """Each policy decides for itself: Local takes its own that ends, Cluster the ready one."""
    some = rendered(LOCAL + SLICE % ("true", "true"))
    none = rendered(LOCAL + SLICE % ("false", "true"))

    assert [rule.rpartition(" ")[2] for rule in some[f"nat {SVC}"][1:]] == [OTHER]
    assert [rule.rpartition(" ")[2] for rule in some[f"nat {SVL}"]] == [OWN]
    assert {f"nat {OWN}", f"nat {OTHER}"} <= some.keys()
    assert [rule.rpartition(" ")[2] for rule in none[f"nat {SVC}"][1:]] == [OWN]


def test_who_does_not_serve_is_no_endpoint(rendered: Rendered):
    assert (
        "has no endpoints"
        in (rendered(SERVICE + SLICE % ("false", "false"))["filter KUBE-SERVICES"][0])
    )


def test_more_than_a_thousand_endpoints_silence_their_chains(rendered: Rendered):
    """The comments of KUBE-SVC and KUBE-SEP go, which is a good part of the text."""
    many = ", ".join(f"{{ip: 10.2.{i // 250}.{i % 250 + 1}}}" for i in range(1001))

    found = rendered(
        SERVICE
        + f"""
---
apiVersion: v1
kind: Endpoints
metadata: {{name: web}}
subsets: [{{addresses: [{many}], ports: [{{name: http, port: 8080}}]}}]
"""
    )

    assert "comment" in found[f"nat {SVC}"][0], "the ClusterIP's own"
    assert not any("comment" in rule for rule in found[f"nat {SVC}"][1:])
    assert not any("comment" in rule for rule in found[f"nat {OWN}"])


SOMEBODY_ELSES = {
    "headless": SERVICE.replace("clusterIP: 172.20.0.7", "clusterIP: None"),
    "external name": SERVICE.replace(
        "clusterIP: 172.20.0.7", "type: ExternalName\n  externalName: example.com"
    ),
    "another proxy's": SERVICE.replace(
        "name: web}", "name: web, labels: {service.kubernetes.io/service-proxy-name: x}}"
    ),
    "labelled headless": SERVICE.replace(
        "name: web}", 'name: web, labels: {service.kubernetes.io/headless: ""}}'
    ),
}


@pytest.mark.parametrize("service", SOMEBODY_ELSES.values(), ids=SOMEBODY_ELSES)
def test_services_that_are_not_kube_proxys_have_no_rules(rendered: Rendered, service: str):
    assert rendered(service + ENDPOINTS) == rendered("")
