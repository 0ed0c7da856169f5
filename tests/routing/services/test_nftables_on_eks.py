"""kube-proxy in nftables mode on a node of EKS: its table beside the CNI's rules and marks."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from testbed.bed import Bed
from testbed.bed import bed as bring_up
from testbed.eks.model import ConnmarkBackend
from testbed.kubernetes.kube_proxy import KubeProxy
from tests.routing.cni.breaking import works
from tests.routing.cni.conftest import NODE_PORT, OUTSIDE, Explain, cni_lab

pytestmark = pytest.mark.kernel

CONNMARKS: tuple[ConnmarkBackend, ...] = ("iptables", "nftables")


@pytest.fixture(scope="module", params=CONNMARKS)
def bed(request: pytest.FixtureRequest) -> Iterator[Bed]:
    lab = cni_lab(backend=request.param)
    [cluster] = lab.clusters
    changed = replace(cluster, kube_proxy=KubeProxy(mode="nftables"))
    with bring_up(replace(lab, clusters=(changed,))) as up:
        yield up


def test_pods_of_every_eni_use_services(bed: Bed, explain: Explain) -> None:
    """A ClusterIP is translated before the CNI asks whether it is outside the VPC."""
    services = {given.service: str(given.cluster_ip) for given in bed.allocations.services}

    assert works(explain("pod-2", services["third"]))
    assert works(explain("pod-1", services["second"]))
    assert works(explain("pod-2", services["second"])), "itself"
    assert works(explain("pod-2", OUTSIDE)), "translated by the CNI, so by eth0"
    assert not bed.drift()


def test_a_node_port_of_a_pod_of_eth1_is_answered_by_eth0(bed: Bed, explain: Explain) -> None:
    """The CNI's mark of connections that came by eth0 is its own, and kube-proxy's is another."""
    seen = explain("node-2", str(bed.address("node-1")), NODE_PORT)

    assert works(seen)
    assert seen.observed.back
    assert [one.dev_out for one in seen.observed.back.visits if one.ns == "node-1"] == ["eth0"]
