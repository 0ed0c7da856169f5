"""Which node a pod is bound to, and kube-scheduler's words when there is none."""

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address

import pytest

from testbed.description.ports import Port
from testbed.kubernetes.model import Container, Pod
from testbed.kubernetes.scheduler.schedule import NETWORK_UNAVAILABLE, Host, Schedule
from testbed.kubernetes.scheduler.schedule import schedule as scheduled
from testbed.kubernetes.scheduler.terms import (
    Affinity,
    NodeAffinity,
    NodeSelector,
    NodeSelectorTerm,
    Operator,
    PreferredSchedulingTerm,
    Requirement,
    Taint,
    Toleration,
)


def schedule(
    rooms: Mapping[str, int],
    pods: Iterable[Pod],
    bound: Mapping[str, str],
    taints: Mapping[str, Taint] = {},
) -> Schedule:
    nodes = [
        Host(name, room, taints=(taints[name],) if name in taints else ())
        for name, room in rooms.items()
    ]
    return scheduled(nodes, pods, bound)


def test_a_pod_goes_to_the_node_with_most_room():
    plan = schedule({"n1": 1, "n2": 3}, [Pod("a"), Pod("b"), Pod("c")], {})

    assert plan.bound == {"a": "n2", "b": "n2", "c": "n1"}
    assert plan.unschedulable == {}


def test_of_equal_nodes_the_first_is_taken():
    assert schedule({"n2": 2, "n1": 2}, [Pod("a")], {}).bound == {"a": "n2"}


def test_a_pod_that_names_a_node_goes_there():
    plan = schedule({"n1": 1, "n2": 9}, [Pod("a", node="n1"), Pod("b")], {})

    assert plan.bound == {"a": "n1", "b": "n2"}


def test_a_bound_pod_stays_and_takes_its_room():
    plan = schedule({"n1": 2, "n2": 1}, [Pod("a"), Pod("b")], {"b": "n1"})

    assert plan.bound == {"a": "n1", "b": "n1"}


def test_a_bound_pod_stays_on_a_node_that_is_too_full_now():
    """kubelet evicts nobody when --max-pods shrinks."""
    plan = schedule({"n1": 1}, [Pod("a"), Pod("b"), Pod("c")], {"a": "n1", "b": "n1"})

    assert plan.bound == {"a": "n1", "b": "n1"}
    assert plan.unschedulable == {"c": "0/1 nodes are available: 1 Too many pods."}


def test_a_pod_on_its_node_s_network_takes_room_too():
    plan = schedule({"n1": 1}, [Pod("a", host_network=True), Pod("b")], {})

    assert plan.bound == {"a": "n1"}
    assert list(plan.unschedulable) == ["b"]


def test_no_room_anywhere_is_said_as_kube_scheduler_says_it():
    plan = schedule({"n1": 0, "n2": 0, "n3": 0}, [Pod("a")], {})

    assert plan.unschedulable == {"a": "0/3 nodes are available: 3 Too many pods."}


def test_no_room_on_the_named_node_tells_the_others_from_it():
    plan = schedule({"n1": 0, "n2": 5, "n3": 5}, [Pod("a", node="n1")], {})

    assert plan.unschedulable == {
        "a": "0/3 nodes are available: 1 Too many pods, "
        "2 node(s) didn't match Pod's node affinity/selector."
    }


def test_a_tainted_node_takes_pods_that_were_there_or_name_it():
    """nodeName goes past the scheduler, and nobody evicts for NoSchedule."""
    pods = [Pod("a"), Pod("b"), Pod("c", node="n2"), Pod("d")]

    plan = schedule({"n1": 1, "n2": 9}, pods, {"a": "n2"}, {"n2": NETWORK_UNAVAILABLE})

    assert plan.bound == {"a": "n2", "b": "n1", "c": "n2"}
    assert plan.unschedulable == {
        "d": "0/2 nodes are available: 1 Too many pods, 1 node(s) had untolerated taint"
        " {node.kubernetes.io/network-unavailable: }."
    }


def test_without_nodes_there_is_nothing_to_count():
    plan = schedule({}, [Pod("a")], {})

    assert plan.unschedulable == {"a": "no nodes available to schedule pods"}


def test_pods_that_want_one_port_of_their_nodes_come_to_different_nodes() -> None:
    """And when there is no further node, one waits with the scheduler's words."""
    pods = [Pod(f"agent-{i}", host_network=True) for i in range(3)]

    plan = schedule({"n1": 5, "n2": 5}, pods, {})

    assert plan.bound == {"agent-0": "n1", "agent-1": "n2"}
    assert plan.unschedulable == {
        "agent-2": "0/2 nodes are available: 2 node(s) didn't have free ports for the requested"
        " pod ports."
    }


def test_a_port_of_each_address_of_a_node_is_for_a_pod_of_its_own():
    """As long as none asks for all addresses (e2e: no conflict with different hostIP)."""

    def pod(name: str, address: str) -> Pod:
        port = Port(80, "http", host_port=8080, host_ip=IPv4Address(address))
        return Pod(name, containers=(Container("app", (port,)),))

    pods = [pod("a", "127.0.0.1"), pod("b", "10.0.0.4"), pod("c", "0.0.0.0"), pod("d", "10.0.0.4")]
    plan = schedule({"n1": 9}, pods, {})

    assert list(plan.bound) == ["a", "b"]
    assert list(plan.unschedulable) == ["c", "d"]


def test_a_host_port_is_one_pods_on_a_node():
    """Whether by the node's network or by hostPort; UDP and TCP do not meet."""

    def pod(name: str, *ports: Port, host_network: bool = False) -> Pod:
        return Pod(name, host_network=host_network, containers=(Container("app", ports),))

    plan = schedule(
        {"n1": 9},
        [
            pod("a", Port(80, "http", host_port=8080)),
            pod("b", Port(80, "tcp", host_port=8080)),
            pod("c", Port(7, "udp", host_port=8080)),
            pod("d", Port(8080, "http"), host_network=True),
            pod("e", Port(8080, "http")),
        ],
        {},
    )

    reason = (
        "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports."
    )
    assert plan.bound == {"a": "n1", "c": "n1", "e": "n1"}
    assert plan.unschedulable == {"b": reason, "d": reason}


HOSTS = (
    Host("n1", 9, {"topology.kubernetes.io/zone": "a", "cores": "2"}),
    Host("n2", 9, {"topology.kubernetes.io/zone": "b", "cores": "16", "disk": "ssd"}),
    Host("n3", 9, {"topology.kubernetes.io/zone": "b", "cores": "x"}),
)
NO_MATCH = "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector."


def required(*terms: NodeSelectorTerm) -> Affinity:
    return Affinity(NodeAffinity(NodeSelector(terms)))


def term(key: str, operator: Operator, *values: str) -> NodeSelectorTerm:
    return NodeSelectorTerm((Requirement(key, operator, values),))


@pytest.mark.parametrize(
    ("affinity", "where"),
    [
        (term("disk", "In", "hdd", "ssd"), "n2"),
        (term("disk", "Exists"), "n2"),
        (term("cores", "Gt", "4"), "n2"),
        (term("cores", "Lt", "4"), "n1"),
        (term("topology.kubernetes.io/zone", "NotIn", "b"), "n1"),
        (term("disk", "DoesNotExist"), "n1"),
        (NodeSelectorTerm(match_fields=(Requirement("metadata.name", "In", ("n3",)),)), "n3"),
        (NodeSelectorTerm(), ""),
    ],
    ids=str,
)
def test_a_pod_runs_only_where_its_affinity_says(affinity: NodeSelectorTerm, where: str):
    """A label that is not there is NotIn, and an empty term fits no node."""
    plan = scheduled(HOSTS, [Pod("a", affinity=required(affinity))], {})

    assert plan.bound == ({"a": where} if where else {})
    assert plan.unschedulable == ({} if where else {"a": NO_MATCH})


def test_one_of_the_terms_is_enough_and_all_of_a_terms_requirements_are_needed():
    both = NodeSelectorTerm(
        (
            Requirement("topology.kubernetes.io/zone", "In", ("b",)),
            Requirement("disk", "DoesNotExist"),
        )
    )
    pods = [
        Pod("either", affinity=required(term("disk", "In", "tape"), both)),
        Pod("selector", node_selector={"topology.kubernetes.io/zone": "b", "disk": "ssd"}),
        Pod("neither", node_selector={"disk": "tape"}),
    ]

    plan = scheduled(HOSTS, pods, {})

    assert plan.bound == {"either": "n3", "selector": "n2"}
    assert plan.unschedulable == {"neither": NO_MATCH}


def test_preferred_terms_count_by_their_weights_and_room_only_then():
    wish = Affinity(
        NodeAffinity(
            None,
            (
                PreferredSchedulingTerm(1, term("topology.kubernetes.io/zone", "In", "a")),
                PreferredSchedulingTerm(5, term("disk", "Exists")),
            ),
        )
    )

    plan = scheduled(HOSTS, [Pod("a", affinity=wish), Pod("b", affinity=wish), Pod("c")], {})

    assert plan.bound == {"a": "n2", "b": "n2", "c": "n1"}


@pytest.mark.parametrize(
    ("toleration", "goes"),
    [
        (Toleration("dedicated", "Equal", "gpu", "NoSchedule"), True),
        (Toleration("dedicated", "Exists"), True),
        (Toleration(operator="Exists"), True),
        (Toleration("dedicated", "Equal", "gpu"), True),
        (Toleration("dedicated", "Equal", "cpu"), False),
        (Toleration("dedicated", "Exists", "", "NoExecute"), False),
        (Toleration("other", "Exists"), False),
        (Toleration("dedicated"), False),
    ],
    ids=str,
)
def test_a_taint_keeps_off_who_does_not_tolerate_it(toleration: Toleration, goes: bool):
    node = Host("n1", 9, taints=(Taint("dedicated", "NoSchedule", "gpu"),))

    plan = scheduled([node], [Pod("a", tolerations=(toleration,))], {})

    assert plan.bound == ({"a": "n1"} if goes else {})
    refusal = "0/1 nodes are available: 1 node(s) had untolerated taint {dedicated: gpu}."
    assert plan.unschedulable == ({} if goes else {"a": refusal})


def test_a_node_that_is_rather_avoided_is_taken_when_there_is_no_other():
    avoided = Host("n1", 9, taints=(Taint("spot", "PreferNoSchedule"),))

    plan = scheduled([avoided, Host("n2", 1)], [Pod("a"), Pod("b")], {})

    assert plan.bound == {"a": "n2", "b": "n1"}


def test_whom_a_taint_would_evict_at_once_does_not_come_by_name_either():
    node = Host("n1", 9, taints=(Taint("broken", "NoExecute"),))
    pods = [Pod("a", node="n1"), Pod("b", node="n1", tolerations=(Toleration("broken"),))]

    plan = scheduled([node], pods, {})

    assert plan.bound == {"b": "n1"}
    assert [node.evicts(pod) for pod in pods] == [True, False]
