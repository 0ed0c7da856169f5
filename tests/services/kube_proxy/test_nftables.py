"""kube-proxy in nftables mode: its table, name by name, as nft prints it.

Names are those of kubernetes v1.30, pkg/proxy/nftables/proxier_test.go.
"""

from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest

from testbed.kubernetes.kube_proxy import KubeProxy, problems
from testbed.kubernetes.manifests import parse
from testbed.net.facts import Chain, Fact, NftChain, NftElement, NftSet, Sysctl
from testbed.services.kube_proxy.from_manifests import ports_of
from testbed.services.kube_proxy.nftables.spelling import duration, networks
from testbed.services.kube_proxy.node import node_facts
from testbed.services.kube_proxy.rules import ProxyNode
from testbed.services.kubelet import FIREWALL, kubelet_facts
from tests.services.kube_proxy.packets.flows import NP, P80, TWO, at, endpoints, flows, service

LOCALHOST, NODE, SECOND = map(IPv4Address, ("127.0.0.1", "10.1.0.1", "10.1.1.1"))
ME = ProxyNode(name="me", ip=NODE, addresses=(LOCALHOST, NODE, SECOND))


def facts(manifests: str = "", **flags: Any) -> list[Fact]:
    """What is on node `me`."""
    given = {"era": "current", "mode": "nftables", "cluster_cidr": IPv4Network("10.0.0.0/8")}
    proxy = KubeProxy(**{**given, **flags})
    return [*node_facts([ME], ports_of(parse({"app.yaml": manifests}), "current"), proxy)]


def chains(found: list[Fact]) -> dict[str, list[str]]:
    return {
        one.name: [rule.text for rule in one.rules] for one in found if isinstance(one, NftChain)
    }


def of_kind(kind: str, found: list[Fact]) -> list[list[str]]:
    """The rules of Services' chains of a kind; theirs have slashes in their names."""
    mine = (name for name in chains(found) if name.startswith(f"{kind}-") and "/" in name)
    return [chains(found)[name] for name in mine]


def elements(found: list[Fact], of: str) -> dict[str, str]:
    return {
        one.element: one.value for one in found if isinstance(one, NftElement) and one.set == of
    }


def sets(found: list[Fact]) -> set[str]:
    return {one.name for one in found if isinstance(one, NftSet)}


def test_the_chains_of_a_service_say_what_they_are_for() -> None:
    """ClusterIP, node port, two endpoints, policy Cluster."""
    found = facts(
        service("svc4", "172.30.0.44", P80 | {"nodePort": 3004}, type="NodePort").replace(
            '"namespace": "ns"', '"namespace": "ns4"'
        )
        + endpoints("svc4", [at("10.180.0.4"), at("10.180.0.5", "me")], P80).replace(
            '"namespace": "ns"', '"namespace": "ns4"'
        )
    )
    base, four, five = (
        "LAUZTJTB-ns4/svc4/tcp/p80",
        "UNZV3OEC-ns4/svc4/tcp/p80__10.180.0.4/80",
        "5RFCDDV7-ns4/svc4/tcp/p80__10.180.0.5/80",
    )

    assert elements(found, "cluster-ips") == {"172.30.0.44": ""}
    assert elements(found, "service-ips") == {"172.30.0.44 . tcp . 80": f"goto service-{base}"}
    assert elements(found, "service-nodeports") == {"tcp . 3004": f"goto external-{base}"}
    assert {name: rules for name, rules in chains(found).items() if "/" in name} == {
        f"service-{base}": [
            "ip daddr 172.30.0.44 tcp dport 80 ip saddr != 10.0.0.0/8 jump mark-for-masquerade",
            f"numgen random mod 2 vmap {{ 0 : goto endpoint-{four}, 1 : goto endpoint-{five} }}",
        ],
        f"external-{base}": ["jump mark-for-masquerade", f"goto service-{base}"],
        f"endpoint-{four}": [
            "ip saddr 10.180.0.4 jump mark-for-masquerade",
            "meta l4proto tcp dnat to 10.180.0.4:80",
        ],
        f"endpoint-{five}": [
            "ip saddr 10.180.0.5 jump mark-for-masquerade",
            "meta l4proto tcp dnat to 10.180.0.5:80",
        ],
    }


def test_a_port_without_a_name_leaves_the_last_slash() -> None:
    found = facts(service("svc", "172.30.0.41", {"port": 80}))

    assert elements(found, "no-endpoint-services") == {
        '172.30.0.41 . tcp . 80 comment "ns/svc"': "goto reject-chain"
    }
    found = facts(
        service("svc", "172.30.0.41", {"port": 80})
        + endpoints("svc", [at("10.0.0.9")], {"port": 80})
    )
    [to] = elements(found, "service-ips").values()
    assert to.endswith("-ns/svc/tcp/")


def test_clients_stay_with_a_set_for_each_endpoint() -> None:
    affine = service("svc", "172.30.0.41", P80, sessionAffinity="ClientIP")
    found = facts(affine + endpoints("svc", [at("10.180.0.1")], P80))

    [own] = [one for one in found if isinstance(one, NftSet) and one.name.startswith("affinity-")]
    assert (own.key_type, own.flags, own.options) == (
        "ipv4_addr",
        "dynamic,timeout",
        ("size 65535", "timeout 3h"),
    )
    base = own.name.removeprefix("affinity-")
    [rules] = of_kind("service", found)
    assert rules[1:] == [
        f"ip saddr @affinity-{base} goto endpoint-{base}",
        f"numgen random mod 1 vmap {{ 0 : goto endpoint-{base} }}",
    ]
    assert f"update @affinity-{base} {{ ip saddr }}" in chains(found)[f"endpoint-{base}"]


def test_a_client_that_is_known_goes_one_way_and_a_new_one_any() -> None:
    """What packets put into a set no fact tells: both ways are followed, as with `recent`."""
    affine = service("svc", "172.30.0.41", P80, sessionAffinity="ClientIP")

    node = flows(affine + TWO, mode="nftables")

    assert node("10.0.0.2", "172.30.0.41:80") == "10.180.0.1:80, 10.180.2.1:80"


@pytest.mark.parametrize(
    ("flags", "there", "asks"),
    [
        ({}, {"10.1.0.1"}, "ip daddr @nodeport-ips"),
        ({"node_port_addresses": ["10.1.1.0/24"]}, {"10.1.1.1"}, "ip daddr @nodeport-ips"),
        ({"node_port_addresses": ["127.0.0.0/8"]}, set(), "ip daddr @nodeport-ips"),
        (
            {"node_port_addresses": ["0.0.0.0/0"]},
            set(),
            "fib daddr type local ip daddr != 127.0.0.0/8",
        ),
    ],
    ids=["by default", "of a range", "never localhost", "everywhere"],
)
def test_node_ports_are_on_the_nodes_own_address_alone(
    flags: dict[str, Any], there: set[str], asks: str
) -> None:
    found = facts(**flags)

    assert elements(found, "nodeport-ips").keys() == there
    assert ("nodeport-ips" in sets(found)) is ("@nodeport-ips" in asks)
    by_port = "meta l4proto . th dport vmap @service-nodeports"
    assert chains(found)["services"][-1] == f"{asks} {by_port}"


def test_a_node_ports_other_addresses_are_nobodys() -> None:
    """TestNodePorts: the node's second address, and 127.0.0.1."""
    node = flows(service("svc", "172.30.0.41", NP, type="NodePort") + TWO, mode="nftables")

    assert node("203.0.113.2", "192.168.0.2:3001") == "~10.180.0.1:80, ~10.180.2.1:80"
    assert node("203.0.113.2", "192.168.1.2:3001") == "-"
    assert node("127.0.0.1", "127.0.0.1:3001") == "-"


def test_iptables_has_what_kubelet_writes_alone() -> None:
    """No rule of kube-proxy, and no opening of 127.0.0.1 that one would have to guard."""
    proxy = KubeProxy(era="current", mode="nftables")

    written = facts()
    assert not [one for one in written if isinstance(one, Chain)]
    assert "net.ipv4.conf.all.route_localnet" not in {
        one.name for one in written if isinstance(one, Sysctl)
    }
    [guarding] = [
        one
        for one in kubelet_facts("me", proxy)
        if isinstance(one, Chain) and one.name == FIREWALL
    ]
    assert "block incoming localnet connections" in guarding.rules[0].text


def test_the_mark_is_the_one_that_was_chosen() -> None:
    found = chains(facts(masquerade_bit=31))

    assert found["mark-for-masquerade"] == ["meta mark set meta mark | 0x80000000"]
    assert found["masquerading"][0] == "meta mark & 0x80000000 == 0x00000000 return"


@pytest.mark.parametrize(
    ("flags", "first"),
    [
        ({"cluster_cidr": ""}, "numgen"),
        ({"masquerade_all": True}, "ip daddr 172.30.0.41 tcp dport 80 jump"),
        (
            {"detect_local_mode": "BridgeInterface", "pod_interface": "cbr0"},
            'ip daddr 172.30.0.41 tcp dport 80 iifname != "cbr0" jump',
        ),
        (
            {"detect_local_mode": "InterfaceNamePrefix", "pod_interface": "eni"},
            'ip daddr 172.30.0.41 tcp dport 80 iifname != "eni*" jump',
        ),
    ],
    ids=["nobody", "all", "a bridge's", "a prefix"],
)
def test_pods_are_told_from_others(flags: dict[str, Any], first: str) -> None:
    found = facts(service("svc", "172.30.0.41", P80) + TWO, **flags)

    [rules] = of_kind("service", found)
    assert rules[0].startswith(first)


def test_ranges_are_spelt_as_nft_merges_them() -> None:
    def spelt(*ranges: str, host: str = "") -> str:
        hosts = [IPv4Address(host)] if host else []
        return networks([IPv4Network(one) for one in ranges], hosts)

    assert spelt("203.0.113.0/25") == "203.0.113.0/25"
    assert spelt("203.0.113.0/25", "192.168.0.0/24", host="5.6.7.8") == (
        "{ 5.6.7.8, 192.168.0.0/24, 203.0.113.0/25 }"
    )
    assert spelt("10.0.0.128/25", "10.0.0.0/25", "10.0.0.0/28") == "10.0.0.0/24"
    assert spelt("10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24") == "10.0.0.0-10.0.2.255"


@pytest.mark.parametrize(
    ("seconds", "spelt"), [(1, "1s"), (90, "1m30s"), (10800, "3h"), (86400, "1d"), (86401, "1d1s")]
)
def test_times_are_spelt_as_nft_does(seconds: int, spelt: str) -> None:
    assert duration(seconds) == spelt


def test_1_14_does_not_know_it() -> None:
    [problem] = problems(KubeProxy(era="1.14", mode="nftables"))

    assert problem.message == "nftables came with Kubernetes 1.29: it is not in era 1.14"
