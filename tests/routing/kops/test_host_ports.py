"""hostPort on a kubenet node: its chains, who sees whom, and what stops it."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from testbed.bed import Bed
from testbed.bed import bed as bring_up
from testbed.description.ports import Port
from testbed.kops.model import KopsCluster
from testbed.kubernetes.model import Container, Pod
from testbed.load import load
from testbed.net.facts import Chain
from testbed.probes.asked.listening import listening
from tests.routing.cni.conftest import Explain
from tests.routing.cni.conftest import explain as explain
from tests.routing.cni.conftest import observer as observer

pytestmark = pytest.mark.kernel

PORTS = (Port(80, "http", host_port=8080), Port(7, "udp", host_port=7007))


@pytest.fixture(scope="module")
def bed(topologies: Path) -> Iterator[Bed]:
    """Pod `shop` on node-1 has two hostPorts, pod `other` on node-2 one of the same."""
    lab = load(topologies / "kops.yaml")
    [cluster] = lab.clusters
    assert isinstance(cluster, KopsCluster)
    shop = Pod("shop", node="node-1", containers=(Container("app", PORTS),))
    other = Pod("other", node="node-2", containers=(Container("app", PORTS[:1]),))
    pods = (*cluster.pods, shop, other)
    with bring_up(replace(lab, clusters=(replace(cluster, pods=pods),))) as up:
        yield up


def seen(bed: Bed, source: str, node: str) -> tuple[str, str]:
    """Which pod answered at a node's port 8080, and whom it saw."""
    answer = bed.http(source, node, 8080).answer
    assert answer is not None
    return str(answer["pod"]), str(answer["client"]).rsplit(":", 1)[0]


def test_the_chains_are_kubenets(bed: Bed) -> None:
    saved = bed.run("node-1", "iptables-nft-save", "-t", "nat").stdout
    address = bed.pod("shop").ip
    lines = [
        re.sub("KUBE-HP-[A-Z2-7]{16}", "KUBE-HP-X", line)
        for line in saved.splitlines()
        if re.search("^-A.*(hostport|KUBE-HP)", line)
    ]

    portals = '-m comment --comment "kube hostport portals" -m addrtype --dst-type LOCAL'
    web, echo = (f'-m comment --comment "shop_default hostport {n}"' for n in (8080, 7007))
    assert sorted(lines) == sorted(
        [
            f"-A PREROUTING {portals} -j KUBE-HOSTPORTS",
            f"-A OUTPUT {portals} -j KUBE-HOSTPORTS",
            '-A POSTROUTING -s 127.0.0.0/8 -o cbr0 -m comment --comment "SNAT for localhost access'
            ' to hostports" -j MASQUERADE',
            f"-A KUBE-HOSTPORTS -p udp {echo} -m udp --dport 7007 -j KUBE-HP-X",
            f"-A KUBE-HOSTPORTS -p tcp {web} -m tcp --dport 8080 -j KUBE-HP-X",
            f"-A KUBE-HP-X -s {address}/32 {web} -j KUBE-MARK-MASQ",
            f"-A KUBE-HP-X -p tcp {web} -m tcp -j DNAT --to-destination {address}:80",
            f"-A KUBE-HP-X -s {address}/32 {echo} -j KUBE-MARK-MASQ",
            f"-A KUBE-HP-X -p udp {echo} -m udp -j DNAT --to-destination {address}:7",
        ]
    )
    assert not bed.drift()


def test_clients_keep_their_addresses(bed: Bed) -> None:
    """Another node's own; of its pods the node's, by kubenet's rule: the VPC is outside."""
    assert seen(bed, "node-2", "node-1") == ("shop", str(bed.address("node-2")))
    assert seen(bed, "client", "node-1") == ("shop", str(bed.pod("client").ip))
    assert seen(bed, "node-1", "node-2")[0] == "other", "each node has its own"


def test_the_node_reaches_it_by_its_loopback_and_the_pod_itself(bed: Bed) -> None:
    """Both would get answers from a wrong address without another source."""
    assert seen(bed, "node-1", "127.0.0.1") == ("shop", "100.96.0.1")
    assert seen(bed, "shop", "node-1") == ("shop", "100.96.0.1")


def test_without_its_chain_clients_get_kubelets_own_socket(bed: Bed, explain: Explain) -> None:
    """kubelet holds the port so that nobody else takes it; it never reads from it."""
    assert {8080, 7007} <= held(bed, "node-1")
    assert 8080 in held(bed, "node-2")
    jumps = bed.fact(Chain, ns="node-1", table="nat", name="KUBE-HOSTPORTS")
    works = explain("node-2", str(bed.address("node-1")), 8080)

    with bed.without():
        bed.change(bed.state - {jumps} | {replace(jumps, rules=())})
        nobody = explain("node-2", str(bed.address("node-1")), 8080)
        silent = bed.briefly.http("node-2", "node-1", 8080)
        datagram = explain("node-2", str(bed.address("node-1")), 7007, "udp")

    assert (works.difference, works.delivered) == (None, True)
    assert works.observed.there.end.ns == "shop"
    assert (nobody.difference, nobody.delivered) == (None, True)
    assert (nobody.observed.there.end.ns, silent.verdict) == ("node-1", "timeout")
    assert (datagram.difference, datagram.delivered) == (None, False)
    assert datagram.observed.there.end.delivered, "taken, and never read"


def held(bed: Bed, node: str) -> set[int]:
    """The ports of a node's own sockets."""
    return {one.port for one in listening(bed.store, [node])}
