"""`describe service`: its rules as planned and as they were found, in both modes of kube-proxy."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from testbed.allocations import allocate
from testbed.cli.look.describe.service import service_lines
from testbed.daemon.shown.described import service
from testbed.eks.model import EksCluster
from testbed.kubernetes.kube_proxy import KubeProxy, Mode
from testbed.lab import Lab
from testbed.load import load
from testbed.net.facts import NftElement, State
from testbed.plan import plan


def in_mode(lab: Lab, mode: Mode) -> Lab:
    [cluster] = lab.clusters
    assert isinstance(cluster, EksCluster)
    return replace(lab, clusters=(replace(cluster, kube_proxy=KubeProxy(mode=mode)),))


def chains(lab: Lab, found: State) -> list[dict[str, Any]]:
    [cluster] = lab.clusters
    web = next(one for one in cluster.services if one.name == "web")
    row = service.described(lab, cluster, web, allocate(lab), ("node-1", found))
    printed = "\n".join(service_lines({**row, "loadBalancer": None}))
    assert all(f"node-1: {chain['name']} in table" in printed for chain in row["chains"])
    return list(row["chains"])


def test_the_rules_of_a_service_are_those_of_the_mode(topologies: Path) -> None:
    tables: dict[Mode, set[str]] = {"iptables": {"nat"}, "nftables": {"kube-proxy"}}
    for mode, there in tables.items():
        lab = in_mode(load(topologies / "eks.yaml"), mode)

        shown = chains(lab, plan(lab, allocate(lab)))

        assert {chain["table"] for chain in shown} == there
        assert all(rule["why"] for chain in shown for rule in chain["rules"])


def test_an_element_that_is_gone_is_not_shown(topologies: Path) -> None:
    lab = in_mode(load(topologies / "eks.yaml"), "nftables")
    state = plan(lab, allocate(lab))
    lost = frozenset(one for one in state if getattr(one, "set", "") != "service-ips")
    assert any(isinstance(one, NftElement) for one in state - lost), "premise"

    def led_to(found: State) -> list[str]:
        [row] = [one for one in chains(lab, found) if one["name"] == "service-ips"]
        return [rule["text"] for rule in row["rules"]]

    assert len(led_to(state)) == 1
    assert led_to(lost) == []
