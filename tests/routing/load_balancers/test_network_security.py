"""Network Load Balancers in a VPC with security groups: predicted as it happens."""

from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from testbed.bed import bed as bring_up
from testbed.explain.walk.world import World
from testbed.kubernetes.load_balancers.annotations import PREFIX
from testbed.kubernetes.model import Service, ServicePort
from testbed.load import load
from testbed.probes.observe.observer import Observer
from tests.routing.agreement.test_explain import Asked, disagreements

pytestmark = pytest.mark.kernel

TOLD = "proxy_protocol_v2.enabled=true"  # a relay opens connections of its own, as the client
SOURCES = ("internet", "bastion", "web-0", "client")


def balanced(name: str, app: str, ranges: tuple[IPv4Network, ...] = (), **how: str) -> Service:
    annotations = {PREFIX + key.replace("_", "-"): text for key, text in how.items()}
    return Service(
        name,
        {"app": app},
        (ServicePort(80),),
        type="LoadBalancer",
        load_balancer_source_ranges=ranges,
        annotations=annotations,
    )


def test_groups_let_in_clients_and_health_checks_and_answers_find_back(topologies: Path) -> None:
    """The targets' groups see the client; answers pass them however they come back."""
    lab = load(topologies / "security.yaml")
    [cluster] = lab.clusters
    services = (
        balanced("web", "web", type="nlb"),
        balanced("closed", "web", (IPv4Network("198.51.100.0/24"),), type="nlb"),
        balanced("told", "web", type="nlb", target_group_attributes=TOLD),
        balanced(
            "inside",
            "client",
            type="external",
            nlb_target_type="ip",
            target_group_attributes="preserve_client_ip.enabled=true",
        ),
    )

    with (
        bring_up(replace(lab, clusters=(replace(cluster, services=services),))) as bed,
        Observer(bed.store) as observer,
    ):
        enis = [one for one in bed.allocations.enis if one.instance.startswith("nlb-")]
        packets = [
            Asked(source, str((source == "internet" and eni.public_ip) or eni.primary), "tcp", 80)
            for eni in enis
            for source in SOURCES
        ]

        assert (
            disagreements(bed, observer, World.planned(bed.state), packets, bed.store.names())
            == []
        )
        assert not bed.drift()
        for eni in enis:
            assert "OutOfService" not in bed.target_states(eni.instance).values()
