"""A running lab changes: whatever moves, one `up` is enough."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from testbed.bed import Bed
from testbed.eks.model import EksCluster
from testbed.lab import Lab
from testbed.load import load

pytestmark = pytest.mark.kernel


def test_a_node_that_changes_its_subnet_is_reached_there(
    beds: Callable[[Lab], Bed], topologies: Path
) -> None:
    """Its port changes the bridge, and with it all forwarding entries."""
    lab = load(topologies / "eks.yaml")
    bed = beds(lab)
    [cluster] = lab.clusters
    assert isinstance(cluster, EksCluster)
    nodes = tuple(
        replace(node, subnet="private-b") if node.name == "node-3" else node
        for node in cluster.nodes
    )

    bed.up(replace(lab, clusters=(replace(cluster, nodes=nodes),)))

    assert not bed.drift()
    assert str(bed.pod("api").ip).startswith("10.0.2.")
    assert bed.ping("web-4", "api").received == 1
    assert bed.ping("api", "node-1").received == 1
