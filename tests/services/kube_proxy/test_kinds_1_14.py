"""Services of every kind as kube-proxy 1.14 writes them, letter by letter."""

from tests.services.kube_proxy.conftest import Rendered
from tests.services.kube_proxy.manifests import (
    AFFINE,
    BALANCED,
    ELSEWHERE,
    ENDPOINTS,
    EXTERNAL,
    FW,
    LOCAL,
    OTHER,
    OWN,
    SERVICE,
    SVC,
    XLB,
)


def test_external_policy_local_is_a_chain_of_its_own(rendered: Rendered):
    """Pods go to any endpoint; a node's own loopback is masqueraded first."""
    found = rendered(LOCAL + ENDPOINTS, era="1.14")

    to_it = '-p tcp -m comment --comment "default/web:http" -m tcp --dport 31787'
    assert found["nat KUBE-NODEPORTS"] == [
        f"-s 127.0.0.0/8 {to_it} -j KUBE-MARK-MASQ",
        f"{to_it} -j {XLB}",
    ]
    assert found[f"nat {XLB}"] == [
        '-s 10.0.0.0/8 -m comment --comment "Redirect pods trying to reach external loadbalancer'
        f' VIP to clusterIP" -j {SVC}',
        f'-m comment --comment "Balancing rule 0 for default/web:http" -j {OWN}',
    ]


def test_external_policy_local_without_an_endpoint_here_marks_to_drop(rendered: Rendered):
    found = rendered(LOCAL + ELSEWHERE, era="1.14")

    assert found[f"nat {XLB}"][1:] == [
        '-m comment --comment "default/web:http has no local endpoints" -j KUBE-MARK-DROP'
    ]


def test_external_policy_local_without_any_endpoint_has_an_empty_chain(rendered: Rendered):
    """It is declared before endpoints are looked at."""
    assert rendered(LOCAL, era="1.14")[f"nat {XLB}"] == []


def test_a_load_balancer_with_source_ranges(rendered: Rendered):
    found = rendered(BALANCED + ENDPOINTS, era="1.14")

    words = '-m comment --comment "default/web:http loadbalancer IP"'
    assert found["nat KUBE-SERVICES"][2] == (
        f"-d 203.0.113.9/32 -p tcp {words} -m tcp --dport 80 -j {FW}"
    )
    assert found[f"nat {FW}"] == [
        f"{words} -j KUBE-MARK-MASQ",
        f"-s 198.51.100.0/24 {words} -j {SVC}",
        f"-s 10.1.0.0/16 {words} -j {SVC}",
        f"-s 203.0.113.9/32 {words} -j {SVC}",
        f"{words} -j KUBE-MARK-DROP",
    ]


def test_a_load_balancer_for_everybody(rendered: Rendered):
    everybody = BALANCED.replace("198.51.100.0/24, 10.1.0.0/16", "")
    words = '-m comment --comment "default/web:http loadbalancer IP"'

    assert rendered(everybody + ENDPOINTS, era="1.14")[f"nat {FW}"] == [
        f"{words} -j KUBE-MARK-MASQ",
        f"{words} -j {SVC}",
        f"{words} -j KUBE-MARK-DROP",
    ]


def test_an_external_address_is_not_for_this_nodes_pods(rendered: Rendered):
    """What comes in by a bridge goes out to the address itself; so the policy is ignored."""
    found = rendered(EXTERNAL + ENDPOINTS, era="1.14")

    to_it = '-d 203.0.113.7/32 -p tcp -m comment --comment "default/web:http external IP" -m tcp'
    assert found["nat KUBE-SERVICES"][2:5] == [
        f"{to_it} --dport 80 -j KUBE-MARK-MASQ",
        f"{to_it} --dport 80 -m physdev ! --physdev-is-in -m addrtype ! --src-type LOCAL -j {SVC}",
        f"{to_it} --dport 80 -m addrtype --dst-type LOCAL -j {SVC}",
    ]


def test_affinity_has_no_comments_either(rendered: Rendered):
    found = rendered(AFFINE + ENDPOINTS, era="1.14")

    same = "--mask 255.255.255.255 --rsource"
    assert found[f"nat {SVC}"] == [
        f"-m recent --rcheck --seconds 10800 --reap --name {OWN} {same} -j {OWN}",
        f"-m recent --rcheck --seconds 10800 --reap --name {OTHER} {same} -j {OTHER}",
        f"-m statistic --mode random --probability 0.50000000000 -j {OWN}",
        f"-j {OTHER}",
    ]
    assert found[f"nat {OWN}"][1] == (
        f"-p tcp -m recent --set --name {OWN} {same} -m tcp -j DNAT --to-destination 10.2.0.2:8080"
    )


def test_masquerade_all_is_for_pods_too(rendered: Rendered):
    found = rendered(SERVICE + ENDPOINTS, era="1.14", masquerade_all=True)

    assert found["nat KUBE-SERVICES"][0].startswith("-d 172.20.0.7/32")
    assert found["nat KUBE-SERVICES"][0].endswith("-j KUBE-MARK-MASQ")


def test_without_endpoints_a_load_balancer_is_refused_with_the_cluster_ip(rendered: Rendered):
    """External addresses and node ports are in the chain that only INPUT asks."""
    found = rendered(
        BALANCED.replace("status", "  externalIPs: [203.0.113.7]\nstatus"), era="1.14"
    )

    assert [rule.split()[1] for rule in found["filter KUBE-SERVICES"]] == [
        "172.20.0.7/32",
        "203.0.113.9/32",
    ]
    assert [rule.split()[1] for rule in found["filter KUBE-EXTERNAL-SERVICES"]] == [
        "203.0.113.7/32",
        "tcp",
    ]


def test_what_came_later_is_not_known(rendered: Rendered):
    """Internal policies and endpoints that end while they serve."""
    internal = SERVICE + "  internalTrafficPolicy: Local\n"

    assert rendered(internal + ELSEWHERE, era="1.14") == rendered(SERVICE + ELSEWHERE, era="1.14")
