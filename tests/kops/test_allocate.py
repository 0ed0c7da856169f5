"""A kops cluster's pods as one `up` after the other leaves them."""

from dataclasses import replace
from ipaddress import IPv4Address

from testbed.allocations import Allocations, allocate, from_json, to_json
from testbed.description.ports import Port
from testbed.kubernetes.model import Container, Pod
from testbed.kubernetes.scheduler.terms import Taint, Toleration


def where(found: Allocations) -> dict[str, tuple[str, str]]:
    return {pod.pod: (pod.node, str(pod.ip)) for pod in found.pods}


def test_pods_are_spread_and_get_addresses_of_their_nodes_ranges(lab, node):
    found = allocate(lab((node("n1"), node("n2")), Pod.replicas("p", 4)))

    assert where(found) == {
        "p-0": ("n1", "100.96.0.2"),
        "p-1": ("n2", "100.96.1.2"),
        "p-2": ("n1", "100.96.0.3"),
        "p-3": ("n2", "100.96.1.3"),
    }
    assert {pod.device_index for pod in found.pods} == {0}


def test_pods_take_no_addresses_of_the_vpc(lab, node):
    [eni] = allocate(lab((node("n1"),), Pod.replicas("p", 9))).enis

    assert (str(eni.primary), eni.secondary) == ("172.20.32.4", ())


def test_the_route_controller_switches_the_source_destination_check_off(lab, node):
    [eni] = allocate(lab((node("n1"),))).enis

    assert not eni.source_dest_check


def test_the_slides_first_pods_are_11_and_12(lab, node):
    nodes = (node("n1", "100.96.130.0/24", "100.96.130.10"),)

    found = allocate(lab(nodes, (Pod("pod-1"), Pod("pod-2"))))

    assert [str(pod.ip) for pod in found.pods] == ["100.96.130.11", "100.96.130.12"]


def test_a_node_takes_109_pods_beside_kube_proxy(lab, node):
    """kubelet's --max-pods is 110, whatever the instance type."""
    found = allocate(lab((node("n1"),), Pod.replicas("p", 111)))

    assert len(found.pods) == 109
    assert {pending.reason for pending in found.pending} == {
        "0/1 nodes are available: 1 Too many pods."
    }


def test_a_pod_without_an_address_waits_with_kubenets_words(lab, node):
    """A /29 has five addresses for pods; kubelet would take more."""
    found = allocate(lab((node("n1", "100.96.8.0/29"),), Pod.replicas("p", 6)))

    [pending] = found.pending
    assert (pending.pod, pending.node) == ("p-5", "n1")
    assert pending.reason == (
        'NetworkPlugin kubenet failed to set up pod "p-5_default" network: Error adding container'
        " to network: failed to allocate for range 0: no IP addresses available in range set:"
        " 100.96.8.1-100.96.8.6"
    )


def test_a_pod_of_today_waits_with_containerds_words(lab, node):
    before = lab((node("n1", "100.96.8.0/30"),), Pod.replicas("p", 2))
    today = replace(before, clusters=(replace(before.clusters[0], cni="ptp"),))

    [pending] = allocate(today).pending

    assert 'plugin type="ptp" failed (add): failed to allocate for range 0' in pending.reason


def test_a_pod_on_its_nodes_network_has_the_nodes_address(lab, node):
    found = allocate(lab((node("n1"),), (Pod("host", host_network=True), Pod("p"))))

    host, pod = found.pods
    assert (str(host.ip), host.host_network) == ("172.20.32.4", True)
    assert str(pod.ip) == "100.96.0.2"


def test_a_second_run_changes_nothing(lab, node):
    pods = (*Pod.replicas("p", 120), Pod("h", host_network=True), Pod("q", node="n2"))
    wanted = lab((node("n1"), node("n2", "100.96.8.0/28")), pods)

    first = allocate(wanted)

    assert first.pending, "premise: the small range is full"
    assert allocate(wanted, first) == first


def test_a_new_pod_renumbers_nobody(lab, node):
    before = allocate(lab((node("n1"),), (Pod("a"), Pod("b"))))

    after = allocate(lab((node("n1"),), (Pod("new"), Pod("a"), Pod("b"))), before)

    assert where(after) == {**where(before), "new": ("n1", "100.96.0.4")}


def test_a_freed_address_is_not_the_next_pods(lab, node):
    """host-local goes round: unlike ipamD it gives an address again as late as it can."""
    before = allocate(lab((node("n1"),), (Pod("a"), Pod("b"))))

    after = allocate(lab((node("n1"),), (Pod("b"), Pod("c"))), before)

    assert where(after) == {"b": ("n1", "100.96.0.3"), "c": ("n1", "100.96.0.4")}


def test_a_pod_gets_a_new_address_where_its_node_has_another_range(lab, node):
    before = allocate(lab((node("n1"),), (Pod("a"),)))

    after = allocate(lab((node("n1", "100.96.5.0/24"),), (Pod("a"),)), before)

    assert where(after) == {"a": ("n1", "100.96.5.2")}


def test_a_waiting_pod_stays_on_the_node_it_was_bound_to(lab, node):
    full = node("n1", "100.96.8.0/30")
    before = allocate(lab((full,), (Pod("a"), Pod("b"))))
    assert [(one.pod, one.node) for one in before.pending] == [("b", "n1")], "premise"

    after = allocate(lab((full, node("n2")), (Pod("a"), Pod("b"))), before)

    assert after.pending == before.pending


def test_allocations_are_stored_and_read_back(lab, node):
    """The last address given is part of it."""
    found = allocate(lab((node("n1"),), (Pod("a"),)))

    assert str(found.ranges[0].last_reserved_ip) == "100.96.0.2"
    assert from_json(to_json(found)) == found


def test_kubelet_holds_a_host_port_whatever_its_host_ip(lab, node):
    """The scheduler takes two addresses for two ports, kubenet of 1.14 does not look at them."""

    def pod(name: str, address: str) -> Pod:
        port = Port(80, "http", host_port=8080, host_ip=IPv4Address(address))
        return Pod(name, containers=(Container("app", (port,)),))

    found = allocate(lab((node("n1"),), (pod("a", "127.0.0.1"), pod("b", "172.20.32.4"))))

    [pending] = found.pending
    assert (pending.pod, pending.node) == ("b", "n1")
    assert pending.reason == (
        'NetworkPlugin kubenet failed to set up pod "b_default" network: cannot open hostport 8080'
        " for pod b_default: listen tcp :8080: bind: address already in use"
    )
    assert allocate(lab((node("n1"),), (pod("b", "172.20.32.4"),)), found).pods


def test_a_node_without_a_route_gets_no_new_pods(lab, node):
    """NetworkUnavailable: NoRouteCreated.  What ran there when it lost its route runs on."""
    large = lab(tuple(node(f"n{i}") for i in range(3)), Pod.replicas("p", 3))
    [vpc] = large.vpcs
    small = replace(large, vpcs=(replace(vpc, routes_per_route_table=4),))

    anew, before = allocate(small), allocate(large)

    assert {at.node for at in anew.pods} == {"n0", "n1"}
    assert {at.node for at in before.pods} == {"n0", "n1", "n2"}
    assert allocate(small, before).pods == before.pods


def test_a_node_without_a_range_is_not_ready(lab, node):
    """CIDRNotAvailable: the node stays, the scheduler spares it, and kubelet has no network."""
    bound = (Pod("by-name", node="n2"), Pod("host", node="n2", host_network=True))

    found = allocate(
        lab((node("n1"), node("n2")), (*Pod.replicas("p", 2), *bound), pod_cidr="100.96.0.0/24")
    )

    assert where(found) == {
        "p-0": ("n1", "100.96.0.2"),
        "p-1": ("n1", "100.96.0.3"),
        "host": ("n2", "172.20.32.5"),
    }
    [pending] = found.pending
    assert (pending.pod, pending.node) == ("by-name", "n2")
    assert "kubenet does not have netConfig" in pending.reason


def test_a_new_node_does_not_get_the_range_of_one_that_left(lab, node):
    """The controller goes on where it was: that is part of what is kept."""
    before = allocate(lab((node("n1"), node("n2"))))

    after = allocate(lab((node("n1"), node("n3"))), from_json(to_json(before)))

    assert {one.node: str(one.cidr) for one in after.ranges} == {
        "n1": "100.96.0.0/24",
        "n3": "100.96.2.0/24",
    }


def test_pods_that_tolerate_it_come_to_a_node_without_a_route(lab, node):
    bears = Toleration("node.kubernetes.io/network-unavailable", "Exists")
    pods = (*Pod.replicas("p", 109), Pod("q"), Pod("r", tolerations=(bears,)))
    large = lab((node("n1"), node("n2")), pods)
    small = replace(large, vpcs=(replace(large.vpcs[0], routes_per_route_table=3),))

    found = allocate(small)

    assert where(found)["r"][0] == "n2"
    assert [pending.pod for pending in found.pending] == ["q"]


def test_a_running_pod_stays_unless_it_asks_for_another_node_or_a_taint_evicts_it(lab, node):
    """IgnoredDuringExecution is about nodes that change; a pod that asks anew is a new pod."""
    nodes = (node("n1"), replace(node("n2"), labels={"disk": "ssd"}))
    before = allocate(lab(nodes, (Pod("a"),)))
    tainted = (replace(node("n1"), taints=(Taint("x", "NoSchedule"),)), nodes[1])
    evicting = (replace(node("n1"), taints=(Taint("x", "NoExecute"),)), nodes[1])
    asking = Pod("a", node_selector={"disk": "ssd"})

    assert where(before)["a"][0] == "n1", "premise"
    assert allocate(lab(tainted, (Pod("a"),)), before).pods == before.pods
    assert where(allocate(lab(evicting, (Pod("a"),)), before)) == {"a": ("n2", "100.96.1.2")}
    assert where(allocate(lab(nodes, (asking,)), before)) == {"a": ("n2", "100.96.1.2")}
