"""kubelet's own chains of iptables, whatever kube-proxy does beside it."""

from typing import Any

import pytest

from testbed.kubernetes.kube_proxy import KubeProxy
from testbed.net.facts import Chain, ChainPiece
from testbed.services.kubelet import FIREWALL, kubelet_facts


@pytest.mark.parametrize(
    "flags",
    [
        {},
        {"localhost_node_ports": False},
        {"node_port_addresses": ["primary"]},
        {"mode": "nftables"},
    ],
    ids=str,
)
def test_today_it_keeps_127_0_0_1_for_the_node_itself(flags: dict[str, Any]) -> None:
    """kubernetes v1.30, kubelet_network_linux.go, syncIPTablesRules: no flag of others counts."""
    facts = [*kubelet_facts("node-1", KubeProxy(era="current", **flags))]

    [chain] = [one for one in facts if isinstance(one, Chain) and one.name == FIREWALL]
    assert [rule.text for rule in chain.rules] == [
        "! -s 127.0.0.0/8 -d 127.0.0.0/8 "
        '-m comment --comment "block incoming localnet connections" '
        "-m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP"
    ]


def test_its_jumps_are_there_without_a_kube_proxy_of_iptables() -> None:
    """Else kube-proxy has put its own in front of everybody's, these two among them."""

    def jumps(mode: Any) -> list[str]:
        proxy = KubeProxy(era="current", mode=mode)
        pieces = (one for one in kubelet_facts("node-1", proxy) if isinstance(one, ChainPiece))
        return [f"{one.chain}: {rule.text}" for one in pieces for rule in one.rules]

    assert jumps("nftables") == ["INPUT: -j KUBE-FIREWALL", "OUTPUT: -j KUBE-FIREWALL"]
    assert jumps("iptables") == []
