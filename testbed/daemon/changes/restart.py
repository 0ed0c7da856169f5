"""restart: aws-node starts again on nodes of the running lab."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from ipaddress import IPv4Network

from testbed.allocations import restarted
from testbed.daemon.changes import checkpoints, logs
from testbed.daemon.changes.rollout import chosen
from testbed.daemon.process.protocol import Json
from testbed.daemon.running import RunningLab
from testbed.daemon.shown import views
from testbed.eks.ipamd.datastore.checkpoint import Recovery, read, recovered
from testbed.eks.ipamd.datastore.memory import Memory
from testbed.eks.ipamd.datastore.memory import started as remembering
from testbed.eks.logs.events import Started
from testbed.eks.model import EksCluster
from testbed.eks.profiles import ERAS
from testbed.eks.wiring import start
from testbed.errors import CheckFailed
from testbed.kubernetes.model import Node
from testbed.net.drift.diff import compare
from testbed.net.facts import State, Veth
from testbed.plan import plan

Progress = Callable[[str], None]
Recovered = dict[str, Recovery | None]


def restart(running: RunningLab, progress: Progress, *, where: str) -> Json:
    """What the start of aws-node writes and removes on the nodes, and what it lost of its store.

    Raises UsageError; CheckFailed with ipamD's words when it does not start: then nothing changes.
    """
    cluster, nodes = chosen(running.described().clusters, where)
    before = running.observe(running.state).state
    found = {node.name: _recovered(running, cluster, node, before) for node in nodes}
    memories = _memories(running, found)
    allocations = restarted(running.described(), running.allocations, memories)
    planned = plan(running.described(), allocations, running.health)
    parts = {
        node.name: partial(_part, planned, found[node.name], _addresses(running, node.name))
        for node in nodes
    }
    steps = [partial(_step, parts, one) for one in (start.without_enis, start.started)]
    after = running.rewire(allocations, planned, steps)
    told = [Started(node.name) for node in nodes]
    lab = running.described()
    logs.append(running.home.logs, lab, logs.texts(lab, allocations, told))
    return {
        "cluster": cluster.name,
        "nodes": [node.name for node in nodes],
        "store": [row for name, one in found.items() if one for row in _lost(name, one)],
        **views.difference(compare(after, before), after),
    }


def _recovered(
    running: RunningLab, cluster: EksCluster, node: Node, found: State
) -> Recovery | None:
    """What ipamD reads of its checkpoint; v1.5 asks the API server, which knows all pods."""
    if not ERAS[cluster.profile].checkpoints:
        return None
    file = checkpoints.file(running.home.aws_node, cluster, node)
    if not file.exists():
        return Recovery()
    links = {fact.name for fact in found if isinstance(fact, Veth) and fact.ns == node.name}
    enis = [eni for eni in running.allocations.enis if eni.instance == node.name]
    cidrs = [one for eni in enis for one in (*map(IPv4Network, eni.secondary), *eni.prefixes)]
    try:
        return recovered(read(file.read_text(encoding="utf-8", errors="replace")), cidrs, links)
    except CheckFailed as failed:
        raise CheckFailed(f"aws-node does not start on {node.name}: {failed} ({file})") from failed


def _memories(running: RunningLab, found: Recovered) -> tuple[Memory, ...]:
    """Those of the nodes that start again are new."""
    kept = [one for one in running.allocations.memories if one.node not in found]
    pods = running.allocations.pods
    new = [remembering(name, one, pods) for name, one in found.items() if one is not None]
    return (*kept, *new)


def _addresses(running: RunningLab, node: str) -> frozenset[IPv4Network]:
    pods = running.allocations.pods
    return frozenset(IPv4Network(at.ip) for at in pods if at.node == node and not at.host_network)


def _part(
    planned: State, recovery: Recovery | None, pods: frozenset[IPv4Network], found: State
) -> start.Node:
    stale = [IPv4Network(entry.ip) for entry in recovery.stale] if recovery else []
    known = {IPv4Network(entry.ip) for entry in recovery.kept} if recovery else pods
    return start.Node(planned, found, pods & known, stale)


def _step(
    parts: Mapping[str, Callable[[State], start.Node]],
    change: Callable[[start.Node], State],
    found: State,
) -> State:
    """The whole lab after a step on some of its nodes."""
    others = frozenset(fact for fact in found if fact.ns not in parts)
    changed = (
        change(_of_node(name, part(frozenset(fact for fact in found if fact.ns == name))))
        for name, part in parts.items()
    )
    return others.union(*changed)


def _of_node(name: str, part: start.Node) -> start.Node:
    return replace(part, planned=frozenset(fact for fact in part.planned if fact.ns == name))


def _lost(node: str, recovery: Recovery) -> Iterable[Json]:
    """What of the checkpoint is not in the store."""
    for entries, why in ((recovery.stale, "stale"), (recovery.unknown, "unknown address")):
        for entry in entries:
            yield {
                "node": node,
                "address": str(entry.ip),
                "pod": f"{entry.namespace}/{entry.name}",
                "why": why,
            }
