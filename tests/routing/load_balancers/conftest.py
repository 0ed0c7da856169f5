"""A lab with a Network Load Balancer, up."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from testbed.bed import Bed
from testbed.kubernetes.load_balancers.annotations import PREFIX
from testbed.kubernetes.model import Service, ServicePort
from testbed.lab import Lab
from testbed.load import load
from tests.routing.load_balancers.checking import QUICK
from tests.routing.load_balancers.network import Serve


@pytest.fixture
def serve(topologies: Path, beds: Callable[[Lab], Bed]) -> Serve:
    """Brings a shipped lab up with one Network Load Balancer, of these annotations."""

    def up(name: str, *ports: ServicePort, policy: str = "Cluster", **annotations: str) -> Bed:
        lab = load(topologies / f"{name}.yaml")
        [cluster] = lab.clusters
        wanted = {"type": "nlb", **annotations}
        service = Service(
            "web",
            {"app": "web"},
            ports or (ServicePort(80),),
            type="LoadBalancer",
            health_check=QUICK,
            external_traffic_policy=policy,  # type: ignore[arg-type]  # one of the two
            annotations={PREFIX + key.replace("_", "-"): text for key, text in wanted.items()},
        )
        return beds(replace(lab, clusters=(replace(cluster, services=(service,)),)))

    return up
