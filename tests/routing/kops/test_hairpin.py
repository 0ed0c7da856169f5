"""kubelet's --hairpin-mode: whether a pod reaches itself by a Service, and how it fails to."""

import socket
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from testbed.bed import Bed
from testbed.bed import bed as bring_up
from testbed.kops.model import HairpinMode, KopsCluster
from testbed.kops.wiring.dedup import DEDUP
from testbed.kubernetes.model import Service, ServicePort
from testbed.lab import Lab
from testbed.load import load
from testbed.net.facts import Bridge, BridgePort, NftChain
from testbed.probes.sockets import socket_in
from tests.routing.cni.conftest import Explain
from tests.routing.cni.conftest import explain as explain
from tests.routing.cni.conftest import observer as observer
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.kernel

OWN = "100.64.7.7"  # a Service whose only endpoint is the pod `client`
SILENCE_S = 1.0  # all copies of a datagram are answered by then


def lab_of(topologies: Path, mode: HairpinMode) -> Lab:
    lab = load(topologies / "kops.yaml")
    [cluster] = lab.clusters
    assert isinstance(cluster, KopsCluster)
    ports = ServicePort(80, name="http"), ServicePort(7, name="echo", protocol="UDP")
    own = Service("own", {"app": "client"}, ports, cluster_ip=IPv4Address(OWN))
    return replace(lab, clusters=(replace(cluster, services=(own,), hairpin_mode=mode),))


@pytest.fixture(scope="module")
def bed(topologies: Path) -> Iterator[Bed]:
    """A lab in kubelet's default mode, which kops leaves."""
    with bring_up(lab_of(topologies, "promiscuous-bridge")) as lab:
        yield lab


def answers(bed: Bed) -> int:
    """How many times `client` answers one datagram that web-0 sends to the Service."""
    with socket_in(bed.store, "web-0", kind=socket.SOCK_DGRAM) as sender:
        sender.settimeout(PATIENCE_S)
        sender.connect((OWN, 7))
        sender.send(b"once")
        sender.recv(4096)
        sender.settimeout(SILENCE_S)
        for more in range(1, 9):
            try:
                sender.recv(4096)
            except TimeoutError:
                return more
    return 9


def test_promiscuous_bridge_is_a_flag_of_cbr0_and_ebtables_rules(bed: Bed) -> None:
    bridge = bed.fact(Bridge, ns="node-1", name="cbr0")

    assert "PROMISC" in bed.run("node-1", "ip", "link", "show", "cbr0").stdout
    assert "hairpin on" not in bed.run("node-1", "bridge", "-d", "link").stdout
    assert [rule.text for rule in bed.fact(NftChain, ns="node-1", name=DEDUP).rules] == [
        f'oifname "veth*" ether saddr {bridge.mac} ip saddr 100.96.0.1 counter accept',
        f'oifname "veth*" ether saddr {bridge.mac} ip saddr 100.96.0.0/24 counter drop',
    ]
    assert not bed.drift()


def test_the_copy_that_shall_come_back_is_taken_for_a_second_one(explain: Explain) -> None:
    """k/k#20475 again: since 2024 kernels forget the copy's connection, and so its NAT."""
    seen = explain("client", OWN)

    assert seen.difference is None
    assert seen.cause == ("node-1", "X_DEDUP")
    assert explain("web-0", OWN).delivered, "control: a neighbour"
    assert explain("web-1", OWN).delivered, "control: another node"


def test_without_the_rules_pods_get_packets_twice(bed: Bed, explain: Explain) -> None:
    """k/k#25793, and with an ebtables that kubenet does not know the version of: what goes to a
    Service comes bridged and, as a copy, routed."""
    rules = bed.fact(NftChain, ns="node-1", name=DEDUP)
    passing = replace(rules, rules=rules.rules[:1])

    assert answers(bed) == 1
    bed.change(bed.state - {rules} | {passing})
    try:
        assert answers(bed) == 2
        for port, protocol in ((80, "tcp"), (7, "udp")):
            seen = explain("web-0", OWN, port, protocol)
            assert seen.difference is None
            assert seen.delivered
            assert seen.observed.there.end.code == "X_DUPLICATE"
            assert explain("web-1", OWN, port, protocol).end.code == "", "control: another node"
    finally:
        bed.change(bed.state)
    for port, protocol in ((80, "tcp"), (7, "udp")):
        assert explain("web-0", OWN, port, protocol).observed.there.end.code == ""


def test_today_a_copy_is_invalid_for_kube_proxy(bed: Bed, explain: Explain) -> None:
    """Its KUBE-FORWARD drops what is of no connection: no packet comes twice, none comes back."""
    before = bed.lab
    [cluster] = before.clusters
    proxy = replace(cluster.kube_proxy, era="current")
    bed.up(replace(before, clusters=(replace(cluster, kube_proxy=proxy),)))
    rules = bed.fact(NftChain, ns="node-1", name=DEDUP)
    try:
        bed.change(bed.state - {rules} | {replace(rules, rules=())})
        assert answers(bed) == 1
        assert explain("web-0", OWN).observed.there.end.code == ""
        seen = explain("client", OWN)
        assert seen.difference is None
        assert seen.cause == ("node-1", "X_INVALID")
    finally:
        bed.up(before)


def test_none_is_neither_and_a_pod_does_not_reach_itself(
    bed: Bed, explain: Explain, topologies: Path
) -> None:
    """The same nodes, changed as `up` of the changed file does it."""
    before = bed.lab
    bed.up(lab_of(topologies, "none"))
    try:
        assert "PROMISC" not in bed.run("node-1", "ip", "link", "show", "cbr0").stdout
        assert "KUBE-DEDUP" not in bed.run("node-1", "nft", "list", "ruleset").stdout
        ports = [one for one in bed.state if isinstance(one, BridgePort) and one.bridge == "cbr0"]
        assert ports
        assert not any(port.hairpin for port in ports)
        seen = explain("client", OWN)
        assert seen.difference is None
        assert seen.cause == ("node-1", "X_HAIRPIN")
        assert explain("web-0", OWN).delivered, "control: a neighbour"
        assert not bed.drift()
    finally:
        bed.up(before)
