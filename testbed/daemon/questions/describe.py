"""describe: objects of the running lab, each with what its kernels have for it."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from testbed.daemon.found import target_states
from testbed.daemon.process.protocol import Json
from testbed.daemon.questions import tables
from testbed.daemon.running import RunningLab
from testbed.daemon.shown import views
from testbed.daemon.shown.described import balancer, node, pod, service
from testbed.errors import UsageError
from testbed.kernel.read.observe import observe

Row = dict[str, Any]


def describe(
    running: RunningLab, progress: Callable[[str], None], *, kind: str, name: str, at: str = ""
) -> Json:
    """The objects of a name; of Services one in each cluster.

    at: the node whose rules for a Service are shown; without it, each cluster's first.
    """
    running.described()
    if kind not in KINDS:
        raise UsageError(f"{kind} cannot be described; {' '.join(KINDS)} can")
    if at and kind != "services":
        raise UsageError(f"--node says whose rules for a Service are shown; these are {kind}")
    return [*KINDS[kind](running, name, at)]


def _services(running: RunningLab, name: str, at: str) -> Iterator[Row]:
    lab, allocations = running.described(), running.allocations
    for cluster, one, place in service.named(lab, allocations, name, at):
        found = observe(running.store, [place]).state
        states = partial(target_states, running)
        yield {
            **service.described(lab, cluster, one, allocations, (place, found)),
            "loadBalancer": balancer.described(lab, cluster, one, allocations, states),
        }


def _pods(running: RunningLab, name: str, _: str) -> Iterator[Row]:
    lab, allocations = running.described(), running.allocations
    cluster, one = pod.named(lab, name)
    [row] = [row for row in views.rows("pods", lab, allocations) if row["name"] == name]
    place = pod.place_of(one, allocations)
    spaces = {place.node, place.pod} & running.store.names() if place else set()
    found = observe(running.store, sorted(spaces)).state
    yield pod.described(cluster, one, row, allocations, found, running.state)


def _nodes(running: RunningLab, name: str, _: str) -> Iterator[Row]:
    lab, allocations = running.described(), running.allocations
    row = node.named(name, views.rows("nodes", lab, allocations))
    pods = [one for one in views.rows("pods", lab, allocations) if one["node"] == name]
    netns = name if name in running.store.names() else pods[0]["name"]  # a pod's own, on Fargate
    enis = [one for one in views.rows("enis", lab, allocations) if one["instance"] == netns]
    [counted] = tables.rows(running.store, [netns])
    yield {**node.described(lab, row, enis, pods), "conntrack": counted}


KINDS: dict[str, Callable[[RunningLab, str, str], Iterator[Row]]] = {
    "services": _services,
    "pods": _pods,
    "nodes": _nodes,
}
