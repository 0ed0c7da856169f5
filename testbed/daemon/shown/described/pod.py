"""A pod as `describe` shows it: its place, and what the kernels have for it.  Pure."""

from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

from testbed.allocations import Allocations
from testbed.daemon.shown.views import reasoned
from testbed.daemon.unknown import no_place
from testbed.errors import UsageError
from testbed.kubernetes.model import Pod
from testbed.kubernetes.placement import PodAddress
from testbed.lab import Cluster, Lab
from testbed.net.facts import MAIN, Fact, Neighbour, Route, Rule, State, Veth

Row = dict[str, Any]


def named(lab: Lab, name: str) -> tuple[Cluster, Pod]:
    """The pod of a name, and its cluster.  Raises UsageError: there is no such pod."""
    there = {pod.netns: (cluster, pod) for cluster in lab.clusters for pod in cluster.pods}
    if name not in there:
        raise UsageError(no_place(name, there, "among the pods"))
    return there[name]


def place_of(pod: Pod, allocations: Allocations) -> PodAddress | None:
    """Where a pod runs; None while it is Pending."""
    return next((place for place in allocations.pods if place.pod == pod.netns), None)


def described(
    cluster: Cluster, pod: Pod, row: Row, allocations: Allocations, found: State, wanted: State
) -> Row:
    """A pod, and what was found for it.

    row: its row of `get pods`.  found: all that its namespace and its node's have.
    wanted: the plan, which knows why.
    """
    told = {
        "name": pod.name,
        "namespace": pod.namespace,
        "cluster": cluster.name,
        "node": row["node"],
        "labels": dict(pod.selectable),
        "status": row["status"],
        "reason": row["reason"],
        "ip": row["ip"],
        "hostNetwork": pod.host_network,
        "ports": [str(port) for port in pod.served],
        "services": [one.qualified for one in cluster.services if one.selects(pod)],
    }
    place = place_of(pod, allocations)
    if place is None:
        return {**told, "interface": None, "eni": None, "kernel": []}
    return {
        **told,
        "interface": _interface(pod, place, found),
        "eni": _eni(place, allocations) if row["eni"] else None,
        "kernel": [row for facts in _kernel(place, found) for row in reasoned(facts, wanted)],
    }


def _interface(pod: Pod, place: PodAddress, found: State) -> Row | None:
    """The pod's end of its veth pair; None where it has its node's or an ENI for itself."""
    for fact in found:
        if isinstance(fact, Veth) and (fact.ns, fact.peer_ns) == (pod.netns, place.node):
            return {"name": fact.name, "mac": fact.mac, "mtu": fact.mtu, "peer": fact.peer}
    return None


def _eni(place: PodAddress, allocations: Allocations) -> Row:
    """The network interface that owns its address."""
    [eni] = [
        one
        for one in allocations.enis
        if (one.instance, one.device_index) == (place.node, place.device_index)
    ]
    return {"device": f"eth{eni.device_index}", "id": eni.id, "subnet": eni.subnet}


def _kernel(place: PodAddress, found: State) -> Iterator[list[Fact]]:
    """In a packet's order: the pod's routes and neighbours, its node's rules and the route to it.

    A pod with its node's network has none of its own.
    """
    own = [fact for fact in found if fact.ns == place.pod]
    yield [fact for fact in own if isinstance(fact, Route)]
    yield [fact for fact in own if isinstance(fact, Neighbour)]
    if place.on_fargate or place.host_network:
        return
    there, address = [fact for fact in found if fact.ns == place.node], ip_network(place.ip)
    yield [one for one in there if isinstance(one, Rule) and address in (one.src, one.dst)]
    routes = (one for one in there if isinstance(one, Route) and one.table == MAIN)
    leading = [route for route in routes if place.ip in route.dst]
    yield [*sorted(leading, key=lambda route: route.dst.prefixlen)[-1:]]
