"""Today's rules under kube-proxy's settings, letter by letter (kubernetes v1.30)."""

from typing import Any

import pytest

from tests.services.kube_proxy.conftest import Rendered
from tests.services.kube_proxy.manifests import ENDPOINTS, EXT, LOCAL, NODE_PORT, SERVICE, SVC

TO_CLUSTER_IP = '-d 172.20.0.7/32 -p tcp -m comment --comment "default/web:http cluster IP" -m tcp'

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
