"""A target of a Network Load Balancer that calls it, and meets itself."""

from dataclasses import replace

import pytest

from testbed.kubernetes.load_balancers.annotations import PREFIX
from tests.routing.load_balancers.network import (
    PODS,
    SHOWN,
    ZONE_A,
    ZONE_B,
    Serve,
    codes,
    curl,
    private,
)

pytestmark = pytest.mark.kernel
HIDDEN = {"target_group_attributes": "preserve_client_ip.enabled=false"}


def test_a_target_that_is_its_own_client_waits_in_vain(serve: Serve) -> None:
    """F21: the client's address comes back to its host (kubernetes#66796), and only there.

    With kubenet the pod's node is the client.
    """
    bed = serve("kops", internal="true")
    to = private(bed, ZONE_B)
    assert bed.pod("web-1").node == "node-2", "premise: zone b's only node"

    assert curl(bed.briefly, "web-1", to) == {}
    assert codes(bed, "web-1", to) == {"X_NLB_HAIRPIN"}
    assert curl(bed, "web-0", to)["pod"].startswith("web-"), "control: a client elsewhere"


def test_so_do_two_pods_of_one_node_and_hiding_the_client_heals_it(serve: Serve) -> None:
    """All pods are on node-1: the answer does not leave the node, and the client refuses it.

    Of targets on eth1 already the request dies: there the filter of sources is strict.
    """
    bed = serve("eks", **PODS, **SHOWN)
    to = private(bed, ZONE_A)

    assert curl(bed.briefly, "web-0", to) == {}
    assert codes(bed, "web-0", to) == {"X_NLB_HAIRPIN", "X_RP_FILTER"}
    assert curl(bed, "client", to)["pod"].startswith("web-"), "control: from another node"

    [cluster] = bed.lab.clusters
    [web] = cluster.services
    key, text = f"{PREFIX}target-group-attributes", HIDDEN["target_group_attributes"]
    hidden = replace(web, annotations={**web.annotations, key: text})
    bed.up(replace(bed.lab, clusters=(replace(cluster, services=(hidden,)),)))

    assert codes(bed, "web-0", to) == {""}
    assert curl(bed, "web-0", to)["pod"].startswith("web-")
