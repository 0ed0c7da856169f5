"""kube-proxy in nftables mode beside CNIs that write iptables' rules: real packets, `explain`.

The lab of test_measured.py with today's plugin ptp, and one of EKS in test_nftables_on_eks.py.
"""

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from testbed.bed import Bed
from testbed.bed import bed as bring_up
from testbed.kops.model import KopsCluster
from testbed.kubernetes.kube_proxy import KubeProxy
from testbed.kubernetes.model import Service, ServicePort
from testbed.lab import Lab
from testbed.net.facts import NftChain, NftElement
from tests.routing.cni.breaking import dies, works
from tests.routing.cni.conftest import Explain
from tests.routing.services.test_measured import (
    FLOWS,
    GONE,
    NA,
    NB,
    POD,
    PUBLIC,
    TO_A,
    TO_B,
    lab_of,
    public_address,
    seen,
)

pytestmark = pytest.mark.kernel

STICKY = "100.64.0.106"
# What differs from iptables mode: no node port on 127.0.0.1, and a ClusterIP's other ports refuse
CHANGED = {
    "node -> 127.0.0.1 -> its own pod": "refused",
    "node -> 127.0.0.1 -> another node": "refused",
    "pod -> ClusterIP, wrong port": "refused",
}


def ptp_lab() -> Lab:
    lab = lab_of("current", mode="nftables")
    [cluster] = lab.clusters
    assert isinstance(cluster, KopsCluster)
    sticky = Service(
        "sticky",
        {"app": "a"},
        (ServicePort(80),),
        cluster_ip=IPv4Address(STICKY),
        session_affinity="ClientIP",
    )
    changed = replace(cluster, cni="ptp", services=(*cluster.services, sticky))
    return replace(lab, clusters=(changed,))


@pytest.fixture(scope="module")
def bed() -> Iterator[Bed]:
    with bring_up(ptp_lab()) as up:
        yield up


@pytest.mark.parametrize("flow", FLOWS)
def test_who_is_seen(bed: Bed, flow: str) -> None:
    """As in iptables mode, but for what is said above."""
    source, address, port, _, today = FLOWS[flow]
    expected = CHANGED.get(flow, today)

    asking = bed.briefly if expected == "timeout" else bed
    found = seen(asking, source, address, port)

    own = {POD: str(bed.address(source)), PUBLIC: public_address(bed, "na")}
    assert found == own.get(expected, expected)


def test_all_is_there_as_nft_prints_it(bed: Bed) -> None:
    """The table was written from what is planned, and read back from `nft list`."""
    table = [one for one in bed.state if isinstance(one, NftChain) and one.table == "kube-proxy"]

    assert {"na", "nb"} == {one.ns for one in table}
    assert not bed.drift()


def test_the_element_of_a_map_is_all_that_leads_to_a_service(bed: Bed) -> None:
    """Without it the ClusterIP is still one of the cluster's, and so refused."""
    leads = bed.fact(NftElement, ns="na", set="service-ips", element=f"{TO_B} . tcp . 80")

    with bed.without(leads):
        assert seen(bed.briefly, "ca", TO_B) == "refused"
        assert seen(bed, "ca", TO_A) == str(bed.address("ca")), "control: another Service"
    assert seen(bed, "ca", TO_B) == str(bed.address("ca"))


def test_explain_follows_its_maps(explain: Explain) -> None:
    """There and back; and what is refused or dropped has its own reason."""
    assert works(explain("ca", TO_B))
    assert works(explain("a", TO_A)), "itself, with another source"
    assert works(explain("elb", NA, 30002))
    assert dies(explain("ca", GONE), "na", "X_NO_ENDPOINTS")
    assert dies(explain("elb", NB, 30005), "nb", "X_NO_ENDPOINTS")
    assert dies(explain("elb", NA, 30004), "na", "X_NO_LOCAL_ENDPOINTS")
    assert dies(explain("ca", TO_A, 81), "na", "X_NO_SERVICE_RULE")


def test_a_client_stays_with_its_endpoint(bed: Bed, explain: Explain) -> None:
    """A dynamic set remembers who came, as iptables' `recent` does."""
    assert seen(bed, "ca", STICKY) == str(bed.address("ca"))

    printed = bed.run("na", "nft", "list", "table", "ip", "kube-proxy").stdout
    assert f"elements = {{ {bed.address('ca')} expires " in printed
    assert works(explain("ca", STICKY))
    assert not bed.drift(), "who came is nobody's plan"


def test_a_lab_changes_from_one_mode_to_the_other(bed: Bed) -> None:
    """Nothing of iptables' chains stays but kubelet's, and nothing of the table."""
    before = bed.lab
    [cluster] = before.clusters
    bed.up(replace(before, clusters=(replace(cluster, kube_proxy=KubeProxy(era="current")),)))
    try:
        assert "kube-proxy" not in bed.run("na", "nft", "list", "tables", "ip").stdout
        assert seen(bed, "ca", TO_B) == str(bed.address("ca"))
        assert not bed.drift()
    finally:
        bed.up(before)
    assert "KUBE-SERVICES" not in bed.run("na", "iptables-nft-save").stdout
    assert "KUBE-FIREWALL" in bed.run("na", "iptables-nft-save").stdout
    assert not bed.drift()
