"""Pods on Fargate: which ones, in which subnets, what is kept."""

from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from testbed.allocations import Allocations, allocate
from testbed.daemon.shown.described.service import named
from testbed.daemon.shown.places import places
from testbed.daemon.shown.views import rows
from testbed.eks.fargate.profiles import CHOSEN, on_fargate
from testbed.eks.model import ControlPlane, FargateSelector
from testbed.kubernetes.model import Pod
from testbed.lab import Lab
from testbed.lab.checks import check
from testbed.load import load, parse
from testbed.net.facts import Netns
from testbed.plan import endpoints, listeners, plan, resolvers
from testbed.plan.security import memberships
from tests.eks.fargate.on_fargate import FILE, VPC, cluster, lab, profile

FULL = 11  # addresses of a /28 that AWS does not keep


def homes(allocations: Allocations) -> dict[str, str]:
    """The subnet of each pod's own network interface."""
    own = {at.pod for at in allocations.pods if at.on_fargate}
    return {eni.instance: eni.subnet for eni in allocations.enis if eni.instance in own}


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        (FargateSelector("default"), ["web", "db"]),
        (FargateSelector("kube-*"), ["kube-system.dns"]),
        (FargateSelector("d?fault", {"tier": "b*"}), ["db"]),
        (FargateSelector("default", {"tier": "back", "zone": "x"}), []),
        (FargateSelector("default", {"app": "web"}), ["web"]),
        (FargateSelector("[d]efault"), []),
    ],
)
def test_a_selector_is_a_namespace_and_labels(
    selector: FargateSelector, selected: list[str]
) -> None:
    pods = (
        Pod("web"),
        Pod("db", labels={"tier": "back"}),
        Pod("dns", namespace="kube-system"),
        Pod("bound", node="node-1", labels={"tier": "back"}),
    )
    assert list(on_fargate(cluster(*pods, profiles=(profile(selector),)))) == selected


def test_of_several_profiles_a_label_chooses_else_the_first_by_name() -> None:
    pods = (
        Pod("any"),
        Pod("told", labels={CHOSEN: "two"}),
        Pod("wrong", labels={CHOSEN: "three"}),
    )
    profiles = profile(name="two"), profile(name="one")
    found = on_fargate(cluster(*pods, profiles=profiles))

    assert {name: one.name for name, one in found.items()} == {"any": "one", "told": "two"}


def test_without_subnets_a_profile_has_the_private_ones() -> None:
    """The emptiest is next: the pods are spread over the zones."""
    assert homes(allocate(lab(*Pod.replicas("web", 3)))) == {
        "web-0": "a",
        "web-1": "b",
        "web-2": "a",
    }
    only_b = profile(subnets=("b",))
    assert set(homes(allocate(lab(*Pod.replicas("web", 3), profiles=(only_b,)))).values()) == {"b"}


def test_a_pod_is_its_node_and_takes_no_room_of_others() -> None:
    pods = Pod.replicas("web", 14)  # a t3.small takes 11
    allocations = allocate(lab(*pods))

    assert not allocations.pending
    assert all(at.node == at.pod and at.ip for at in allocations.pods)
    [node, *alone] = rows("nodes", lab(*pods), allocations)
    assert (node["name"], node["pods"]) == ("node-1", "0/11")
    assert (alone[0]["name"], alone[0]["type"], alone[0]["pods"]) == (
        "fargate-ip-10-0-1-4.us-west-2.compute.internal",
        "fargate",
        "1/1",
    )
    [first, *_] = rows("pods", lab(*pods), allocations)
    assert (first["node"], first["ip"], first["eni"]) == (alone[0]["name"], "10.0.1.4", "eth0")


def test_in_a_full_subnet_a_pod_waits() -> None:
    narrow = profile(subnets=("b",))
    allocations = allocate(lab(*Pod.replicas("web", FULL + 1), profiles=(narrow,)))

    assert len(allocations.pods) == FULL
    [waiting] = allocations.pending
    assert (waiting.pod, waiting.node) == (f"web-{FULL}", "")
    assert "insufficient" in waiting.reason.lower()


def test_what_was_given_is_kept_as_long_as_the_profile_allows_it() -> None:
    before = allocate(lab(*Pod.replicas("web", 3)))
    fewer = lab(*Pod.replicas("web", 3)[1:], Pod("new"))
    after = allocate(fewer, before)
    kept = {at.pod: at.ip for at in after.pods}

    assert all(kept[at.pod] == at.ip for at in before.pods if at.pod != "web-0")
    assert kept["new"] == IPv4Address("10.0.1.4"), "web-0's is free again"
    assert allocate(fewer, after) == after

    moved = allocate(lab(*Pod.replicas("web", 3), profiles=(profile(subnets=("b",)),)), before)
    assert set(homes(moved).values()) == {"b"}


def test_a_pod_moves_between_fargate_and_nodes() -> None:
    on, off = lab(Pod("web")), lab(Pod("web"), profiles=())
    there = allocate(on)
    back = allocate(off, there)

    assert [at.node for at in back.pods] == ["node-1"]
    assert homes(back) == {}
    assert [eni.instance for eni in back.enis if eni.instance == "web"] == []
    assert allocate(on, back).pods == there.pods


def test_it_has_the_cluster_security_group_and_a_kubelet() -> None:
    planned = replace(cluster(Pod("web")), control_plane=ControlPlane())
    there = check(Lab("lab", (VPC,), (planned,)))

    assert memberships(there)["web"] == ("eks-cluster-sg-eks",)
    served = {one.port for one in listeners(there, allocate(there)) if one.netns == "web"}
    assert served == {7, 80, 10249, 10250, 10256}


def test_it_asks_the_resolver_as_pods_do(topologies: Path) -> None:
    there = load(topologies / "fargate.yaml")
    texts = resolvers(there, allocate(there))

    assert "search batch.svc.cluster.local" in texts["batch.job-0"]
    assert texts["lone"] == texts["client"]


def test_probes_and_drawings_know_it(topologies: Path) -> None:
    there = load(topologies / "fargate.yaml")
    allocations = allocate(there)
    known = {place.ns: place for place in places(there, allocations)}
    lone, client = known["lone"], known["client"]

    assert (lone.kind, lone.inside, lone.devices) == ("pod", "vpc-main", ("eth0",))
    assert lone.detail == "Fargate · us-west-2a"
    assert (client.kind, client.inside) == ("pod", "node-1")
    assert {fact.ns for fact in plan(there, allocations) if isinstance(fact, Netns)} <= set(known)
    ends = {end.name: end for end in endpoints(there, allocations)}
    assert (ends["lone"].control_netns, ends["client"].control_netns) == ("", "node-1")


def test_a_cluster_without_nodes_runs_on_fargate_alone() -> None:
    there = parse(FILE % "{ selectors: [{ namespace: x }] }", "f.yaml")

    allocations = allocate(there)
    assert homes(allocations) == {"x.web": "a"}
    [(_, _, place)] = named(there, allocations, "web")
    assert place == "x.web", "its own kube-proxy is the only one"
