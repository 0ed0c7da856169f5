"""`describe service` of one with a load balancer, without a kernel."""

from dataclasses import replace
from pathlib import Path

from testbed.allocations import allocate
from testbed.daemon.shown.described.balancer import described
from testbed.daemon.shown.views import rows
from testbed.load import load
from testbed.services.load_balancers.health import Judged, Server
from testbed.services.load_balancers.naming import dns_name


def test_a_load_balancer_is_described_with_its_name_and_the_targets_of_each_zone(
    topologies: Path,
) -> None:
    """What a Service's status tells, and what a target group's page would."""
    lab = load(topologies / "eks.yaml")
    [cluster] = lab.clusters
    web = next(service for service in cluster.services if service.type == "LoadBalancer")
    well, ill = Server("80", "node-1"), Server("80", "node-3")
    judged: dict[str, Judged] = {"elb-web-us-west-2a": {well: "InService", ill: "OutOfService"}}

    shown = described(lab, cluster, web, allocate(lab), lambda netns: judged.get(netns, {}))

    assert shown is not None
    assert shown["hostname"] == dns_name(cluster.name, web, "us-west-2")
    assert [(zone["name"], zone["targets"]) for zone in shown["zones"]] == [
        ("elb-web-us-west-2a", ["node-1 InService", "node-3 OutOfService"]),
        ("elb-web-us-west-2b", ["its haproxy does not answer"]),
    ]


def test_a_service_without_a_public_subnet_waits_for_its_load_balancer(topologies: Path) -> None:
    lab = load(topologies / "eks.yaml")
    [vpc], [cluster] = lab.vpcs, lab.clusters
    nowhere = replace(lab, vpcs=(replace(vpc, route_tables=(), nat_gateways=()),))
    [web] = [service for service in cluster.services if service.type == "LoadBalancer"]
    api = replace(web, type="ClusterIP")

    shown = described(nowhere, cluster, web, allocate(lab), lambda _: {})

    assert shown == {"hostname": "", "zones": []}
    assert described(nowhere, cluster, api, allocate(lab), lambda _: {}) is None


def test_the_list_of_services_has_its_name(topologies: Path) -> None:
    """kubectl's column EXTERNAL-IP holds it as well."""
    lab = load(topologies / "eks.yaml")

    external = {row["name"]: row["externalIp"] for row in rows("services", lab, allocate(lab))}

    assert external["web"].endswith(".us-west-2.elb.amazonaws.com")
    assert external["api"] == ""
