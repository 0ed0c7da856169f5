"""What becomes of packets with the rules of 1.14, in the cases of its own tests.

kubernetes v1.14, pkg/proxy/iptables/proxier_test.go; where it went wrong, it goes wrong here.
"""

from tests.services.kube_proxy.packets.flows import BALANCED, BOTH, NP, TWO, flows, service

EXTERNAL = service("svc", "172.30.0.41", NP, externalIPs=["192.168.99.11"], **BALANCED)


def test_without_endpoints_each_address_refuses() -> None:
    """TestClusterIPReject, TestExternalIPsReject, TestNodePortReject."""
    expected = """
10.0.0.2     172.30.0.41:80    -> REJECT
203.0.113.2  192.168.99.11:80  -> REJECT
10.0.0.2     192.168.0.2:3001  -> REJECT
203.0.113.2  192.168.0.2:3001  -> REJECT
203.0.113.2  1.2.3.4:80        -> REJECT
"""
    assert flows(EXTERNAL, era="1.14").table(expected) == expected


def test_an_external_address_that_is_not_the_nodes_refuses_nobody() -> None:
    """Its rule is where only packets for the node itself come by, until 1.20."""
    elsewhere = EXTERNAL.replace("192.168.99.11", "203.0.113.77")

    assert flows(elsewhere, era="1.14")("10.0.0.2", "203.0.113.77:80") == "-"
    assert flows(elsewhere)("10.0.0.2", "203.0.113.77:80") == "REJECT"


def test_the_node_itself_calls_no_external_address_of_others() -> None:
    """Whoever does not come from outside goes out to the address."""
    elsewhere = EXTERNAL.replace("192.168.99.11", "203.0.113.77") + TWO

    assert flows(elsewhere, era="1.14")("203.0.113.2", "203.0.113.77:80") == BOTH
    assert flows(elsewhere, era="1.14")("192.168.0.2", "203.0.113.77:80") == "-"
    assert flows(elsewhere)("192.168.0.2", "203.0.113.77:80") == BOTH


def test_clients_out_of_the_ranges_are_dropped_where_the_node_has_the_address() -> None:
    """TestLoadBalancer: what is only forwarded no rule of 1.14 drops, it stays untranslated."""
    ranges = ["192.168.0.0/24", "203.0.113.0/25"]
    manifest = service("svc", "172.30.0.41", NP, loadBalancerSourceRanges=ranges, **BALANCED)
    somewhere = flows(manifest + TWO, era="1.14")
    here = flows(manifest + TWO, era="1.14", vips=["1.2.3.4"])

    assert somewhere("203.0.113.2", "1.2.3.4:80") == here("203.0.113.2", "1.2.3.4:80") == BOTH
    assert somewhere("203.0.113.130", "1.2.3.4:80") == "-"
    assert here("203.0.113.130", "1.2.3.4:80") == "DROP"
    assert here("1.2.3.4", "1.2.3.4:80") == BOTH, "the node is in a range"


def test_a_local_policy_without_an_endpoint_here() -> None:
    """TestOnlyLocalNodePorts, TestOnlyLocalLoadBalancing: pods go to the ClusterIP's endpoints."""
    local = EXTERNAL.replace('"ports"', '"externalTrafficPolicy": "Local", "ports"')
    node = flows(local + TWO.replace('"nodeName": "me"', '"nodeName": "other"'), era="1.14")

    expected = """
10.0.0.2     172.30.0.41:80    -> 10.180.0.1:80, 10.180.2.1:80
10.0.0.2     192.168.0.2:3001  -> 10.180.0.1:80, 10.180.2.1:80
203.0.113.2  192.168.0.2:3001  -> DROP
127.0.0.1    127.0.0.1:3001    -> DROP
"""
    assert node.table(expected) == expected
