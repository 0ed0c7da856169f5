"""What becomes of packets, in the cases of kube-proxy's own tests.

kubernetes v1.30, pkg/proxy/iptables/proxier_test.go and pkg/proxy/nftables/proxier_test.go; each
test here names the one there.  The rules are rendered and walked by `explain`'s prediction.
"""

from typing import Any

import pytest

from tests.services.kube_proxy.packets.flows import (
    BALANCED,
    BOTH,
    MODES,
    NP,
    P80,
    TWO,
    at,
    endpoints,
    flows,
    service,
)


@pytest.mark.parametrize("mode", MODES)
def test_no_endpoints_reject(mode: str) -> None:
    """TestNoEndpointsReject: each of its addresses."""
    manifest = service("svc", "172.30.0.41", NP, externalIPs=["192.168.99.11"], **BALANCED)
    node = flows(manifest, mode=mode)

    expected = """
10.0.0.2     172.30.0.41:80    -> REJECT
203.0.113.2  192.168.99.11:80  -> REJECT
10.0.0.2     192.168.0.2:3001  -> REJECT
203.0.113.2  192.168.0.2:3001  -> REJECT
10.0.0.2     1.2.3.4:80        -> REJECT
203.0.113.2  1.2.3.4:80        -> REJECT
"""
    assert node.table(expected) == expected


@pytest.mark.parametrize("mode", MODES)
def test_a_cluster_ip(mode: str) -> None:
    """TestClusterIPGeneral: hairpins, target ports, two protocols of one number, others."""
    http, https = {"name": "http", "port": 80}, {"name": "https", "port": 443}
    udp = {"name": "dns-udp", "port": 53, "protocol": "UDP"}
    tcp = {"name": "dns-tcp", "port": 53}
    node = flows(
        service("one", "172.30.0.41", http)
        + service("two", "172.30.0.42", http, https, udp, tcp)
        + endpoints("one", [at("10.180.0.1", "me")], http)
        + endpoints(
            "two",
            [at("10.180.0.1", "me"), at("10.180.2.1", "host2")],
            http,
            https | {"port": 8443},
            udp,
            tcp | {"port": 5353},
        ),
        mode=mode,
    )
    nobody = "REJECT" if mode == "nftables" else "-"

    expected = f"""
10.180.0.2  172.30.0.41:80      -> 10.180.0.1:80
10.180.0.1  172.30.0.41:80      -> ~10.180.0.1:80
10.180.0.2  172.30.0.42:80      -> 10.180.0.1:80, 10.180.2.1:80
10.180.0.2  172.30.0.42:443     -> 10.180.0.1:8443, 10.180.2.1:8443
10.180.0.2  172.30.0.42:53      -> 10.180.0.1:5353, 10.180.2.1:5353
10.180.0.2  172.30.0.42:53 udp  -> 10.180.0.1:53, 10.180.2.1:53
10.180.0.2  172.30.0.42:80 udp  -> {nobody}
10.180.0.2  172.30.0.41:443     -> {nobody}
"""
    assert node.table(expected) == expected


@pytest.mark.parametrize("mode", MODES)
def test_a_load_balancer_with_source_ranges(mode: str) -> None:
    """TestLoadBalancer: the node is in a range, a pod and a client are not; nor is a node port."""
    ingress = [{"ip": "1.2.3.4"}, {"ip": "5.6.7.8"}]
    ranges = ["192.168.0.0/24", " 203.0.113.0/25"]
    balanced = {"type": "LoadBalancer", "ingress": ingress, "loadBalancerSourceRanges": ranges}
    node = flows(
        service("svc", "172.30.0.41", NP, **balanced) + endpoints("svc", [at("10.180.0.1")], P80),
        mode=mode,
    )

    expected = """
10.0.0.2       172.30.0.41:80    -> 10.180.0.1:80
203.0.113.2    192.168.0.2:3001  -> ~10.180.0.1:80
203.0.113.130  192.168.0.2:3001  -> ~10.180.0.1:80
203.0.113.2    1.2.3.4:80        -> ~10.180.0.1:80
203.0.113.2    5.6.7.8:80        -> ~10.180.0.1:80
203.0.113.130  1.2.3.4:80        -> DROP
203.0.113.130  5.6.7.8:80        -> DROP
10.0.0.2       1.2.3.4:80        -> DROP
10.0.0.2       5.6.7.8:80        -> DROP
192.168.0.2    1.2.3.4:80        -> ~10.180.0.1:80
192.168.0.2    5.6.7.8:80        -> ~10.180.0.1:80
"""
    assert node.table(expected) == expected


@pytest.mark.parametrize("mode", MODES)
def test_a_node_that_has_the_load_balancers_address_calls_with_it(mode: str) -> None:
    """TestLoadBalancer: its packets never leave, and a range with the node is for them too."""
    ranges = ["192.168.0.0/24"]
    manifest = service("svc", "172.30.0.41", NP, loadBalancerSourceRanges=ranges, **BALANCED)

    inside = flows(manifest + TWO, vips=["1.2.3.4"], mode=mode)
    elsewhere = manifest.replace(ranges[0], "203.0.113.0/25")
    outside = flows(elsewhere + TWO, vips=["1.2.3.4"], mode=mode)

    assert inside("1.2.3.4", "1.2.3.4:80") == BOTH
    assert outside("1.2.3.4", "1.2.3.4:80") == "DROP"


@pytest.mark.parametrize("mode", MODES)
def test_a_load_balancers_address_that_is_a_proxys_is_not_caught(mode: str) -> None:
    """TestLoadBalancerIngressRouteTypeProxy: ipMode Proxy wants its packets itself."""
    for ip_mode, there in (("Proxy", "-"), ("VIP", BOTH)):
        ingress = [{"ip": "1.2.3.4", "ipMode": ip_mode}]
        manifest = service("svc", "172.30.0.41", NP, type="LoadBalancer", ingress=ingress)
        node = flows(manifest + TWO, mode=mode)

        assert node("203.0.113.2", "1.2.3.4:80") == there
        assert node("203.0.113.2", "192.168.0.2:3001") == BOTH


NODE_PORTS: dict[str, tuple[dict[str, Any], str, str, bool]] = {
    # flags, what comes of localhost:3001 and of the second address, whether 127.0.0.1 is guarded
    "by default": ({}, BOTH, BOTH, True),
    "not on localhost": ({"localhost_node_ports": False}, "-", BOTH, False),
    "not there although its range is": (
        {
            "localhost_node_ports": False,
            "node_port_addresses": ["192.168.0.0/24", "127.0.0.1/32"],
        },
        "-",
        "-",
        False,
    ),
    "on the addresses of two ranges": (
        {"node_port_addresses": ["192.168.0.0/24", "192.168.1.0/24"]},
        "-",
        BOTH,
        False,
    ),
    "on the primary address": ({"node_port_addresses": ["primary"]}, "-", "-", False),
    "on localhost and one range": (
        {"node_port_addresses": ["192.168.0.0/24", "127.0.0.0/8"]},
        BOTH,
        "-",
        True,
    ),
}


@pytest.mark.parametrize("case", NODE_PORTS.values(), ids=NODE_PORTS)
def test_node_ports(case: tuple[dict[str, Any], str, str, bool]) -> None:
    """TestNodePorts: 127.0.0.1 needs both flags, and only then is guarded (CVE-2020-8558)."""
    flags, local, second, guarded = case
    node = flows(service("svc", "172.30.0.41", NP, type="NodePort") + TWO, **flags)

    expected = f"""
10.0.0.2     172.30.0.41:80    -> 10.180.0.1:80, 10.180.2.1:80
203.0.113.2  192.168.0.2:3001  -> {BOTH}
192.168.0.2  192.168.0.2:3001  -> {BOTH}
127.0.0.1    127.0.0.1:3001    -> {local}
203.0.113.2  192.168.1.2:3001  -> {second}
"""
    assert node.table(expected) == expected
    assert bool(node.chain("filter", "KUBE-FIREWALL")) is guarded


def test_a_health_check_is_accepted() -> None:
    """TestHealthCheckNodePort: whatever addresses node ports are on."""
    node = flows(
        service(
            "svc",
            "172.30.0.42",
            NP,
            type="LoadBalancer",
            externalTrafficPolicy="Local",
            healthCheckNodePort=30000,
        ),
        node_port_addresses=["127.0.0.0/8"],
    )

    assert node.chain("filter", "KUBE-NODEPORTS") == [
        '-p tcp -m comment --comment "ns/svc:p80 health check node port"'
        " -m tcp --dport 30000 -j ACCEPT"
    ]
    assert flows("").chain("filter", "KUBE-NODEPORTS") == []


def test_a_load_balancer_without_node_ports() -> None:
    """allocateLoadBalancerNodePorts: false, and an address that somebody asked for in vain."""
    alone = BALANCED | {"allocateLoadBalancerNodePorts": False, "loadBalancerIP": "5.6.7.8"}
    node = flows(service("svc", "172.30.0.41", NP, {"name": "other", "port": 81}, **alone) + TWO)

    assert node("203.0.113.2", "1.2.3.4:80") == BOTH
    assert node("203.0.113.2", "5.6.7.8:80") == "-"
    [rule] = node.chain("nat", "KUBE-NODEPORTS")
    assert "--dport 3001 " in rule, "a number that was said is kept"
    refused = node.chain("filter", "KUBE-EXTERNAL-SERVICES")
    assert not any("LOCAL" in rule for rule in refused), "the other port has none"


POLICIES = {
    "Local": """
10.0.0.2     172.30.0.41:80    -> 10.180.0.1:80, 10.180.2.1:80
10.0.0.2     192.168.99.11:80  -> 10.180.0.1:80, 10.180.2.1:80
203.0.113.2  192.168.99.11:80  -> 10.180.2.1:80
10.0.0.2     1.2.3.4:80        -> 10.180.0.1:80, 10.180.2.1:80
203.0.113.2  1.2.3.4:80        -> 10.180.2.1:80
10.0.0.2     192.168.0.2:3001  -> 10.180.0.1:80, 10.180.2.1:80
203.0.113.2  192.168.0.2:3001  -> 10.180.2.1:80
""",
    "Cluster": """
10.0.0.2     172.30.0.41:80    -> 10.180.0.1:80, 10.180.2.1:80
10.0.0.2     192.168.99.11:80  -> ~10.180.0.1:80, ~10.180.2.1:80
203.0.113.2  192.168.99.11:80  -> ~10.180.0.1:80, ~10.180.2.1:80
10.0.0.2     1.2.3.4:80        -> ~10.180.0.1:80, ~10.180.2.1:80
203.0.113.2  1.2.3.4:80        -> ~10.180.0.1:80, ~10.180.2.1:80
10.0.0.2     192.168.0.2:3001  -> ~10.180.0.1:80, ~10.180.2.1:80
203.0.113.2  192.168.0.2:3001  -> ~10.180.0.1:80, ~10.180.2.1:80
""",
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("policy", "expected"), POLICIES.items())
def test_external_traffic_policy(policy: str, expected: str, mode: str) -> None:
    """TestExternalTrafficPolicyLocal, TestExternalTrafficPolicyCluster."""
    balanced = BALANCED | {"externalIPs": ["192.168.99.11"], "externalTrafficPolicy": policy}
    node = flows(service("svc", "172.30.0.41", NP, **balanced) + TWO, mode=mode)

    assert node.table(expected) == expected


NODES = {
    "here and elsewhere": (("me", "host1", "host2"), "10.0.1.1:80"),
    "twice here": (("me", "me", "host2"), "10.0.1.1:80, 10.0.1.2:80"),
    "elsewhere": (("host0", "host1", "host2"), "DROP"),
    "nowhere": ((), "REJECT"),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("nodes", "there"), NODES.values(), ids=NODES)
def test_internal_traffic_policy_local(nodes: tuple[str, ...], there: str, mode: str) -> None:
    """TestInternalTrafficPolicy; the port has no name."""
    slices = [at(f"10.0.1.{i}", node, ready=True) for i, node in enumerate(nodes, 1)]
    node = flows(
        service("svc", "172.30.1.1", {"port": 80}, internalTrafficPolicy="Local")
        + endpoints("svc", slices, {"port": 80}),
        mode=mode,
    )

    assert node("10.0.0.2", "172.30.1.1:80") == there
