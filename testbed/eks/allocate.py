"""A cluster's pods come to their nodes and addresses, as scheduler and ipamD arrange it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from ipaddress import IPv4Address

from testbed.eks.fargate import allocate as fargate
from testbed.eks.ipamd.datastore.memory import Memory, in_use
from testbed.eks.ipamd.runs.node import NodeEc2
from testbed.eks.ipamd.runs.settling import Settling
from testbed.eks.ipamd.settings import settings
from testbed.eks.limits import room
from testbed.eks.logs.events import Added, Refused, Witness, nobody
from testbed.eks.model import EksCluster
from testbed.kubernetes.model import Node, Pod
from testbed.kubernetes.placement import Pending, PodAddress
from testbed.kubernetes.scheduler.keep import still_bound, still_placed
from testbed.kubernetes.scheduler.schedule import Schedule, hosts, schedule
from testbed.vpc.ec2 import Ec2
from testbed.vpc.eni import Eni
from testbed.vpc.model import Vpc

# kubelet's words, in the pod's event FailedCreatePodSandBox
NO_ADDRESS = "failed to assign an IP address to container"

Bound = tuple[Pod, Settling]  # a pod, and the ipamD of the node it is bound to


def allocate_pods(
    cluster: EksCluster,
    vpc: Vpc,
    ec2: Ec2,
    before: Iterable[PodAddress] = (),
    waiting: Iterable[Pending] = (),
    memories: Iterable[Memory] = (),
    tell: Witness = nobody,
) -> tuple[tuple[PodAddress, ...], tuple[Pending, ...]]:
    """The cluster's pods that run and those that wait, each in the topology's order.

    The nodes' primary ENIs exist, and those of pods on Fargate that keep theirs.  vpc: the
    cluster's.  before, waiting: what the last run said; a pod keeps its node and address as long
    as both are there and fit what the topology says of the pod.  memories: of the nodes' ipamDs.
    tell: is told what they do.
    """
    running, pending = fargate.allocate_pods(cluster, vpc, ec2)
    others = tuple(pod for pod in cluster.pods if pod.netns not in running | pending)
    of_others = replace(cluster, pods=others)
    nodes = hosts(cluster.nodes, vpc, {node.name: room(cluster, node) for node in cluster.nodes})
    kept = {at.pod: at for at in _kept(ec2, still_placed(of_others, nodes, before))}
    bound = dict(still_bound(of_others, nodes, waiting)) | {
        pod: at.node for pod, at in kept.items()
    }
    plan = schedule(nodes, others, bound)
    held = in_use(memories, kept.values())
    of_nodes = _on_nodes(of_others, vpc, ec2, kept, plan, held, tell)
    running |= of_nodes[0]
    pending |= of_nodes[1]
    names = [pod.netns for pod in cluster.pods]
    return (
        tuple(running[name] for name in names if name in running),
        tuple(pending[name] for name in names if name in pending),
    )


def _on_nodes(
    cluster: EksCluster,
    vpc: Vpc,
    ec2: Ec2,
    kept: dict[str, PodAddress],
    plan: Schedule,
    held: frozenset[IPv4Address],
    tell: Witness,
) -> tuple[dict[str, PodAddress], dict[str, Pending]]:
    """The pods of the nodes by name, those that run and those that wait.

    kept: those that run already.  plan: where all shall run.  held: addresses that are assigned,
    as ipamDs know it.
    """
    ipamds = {node.name: _ipamd(cluster, vpc, node, ec2, held, tell) for node in cluster.nodes}
    new = [
        (pod, ipamds[plan.bound[pod.netns]])
        for pod in cluster.pods
        if pod.netns in plan.bound and pod.netns not in kept
    ]
    given, left = _give_addresses(cluster.name, ec2, new, tuple(ipamds.values()), tell)
    running = kept | {placed.pod: placed for placed in given}
    pending = {pod: Pending(pod, cluster.name, why) for pod, why in plan.unschedulable.items()}
    pending |= {pod.netns: _without_address(cluster.name, pod, ipamd) for pod, ipamd in left}
    return running, pending


def _ipamd(
    cluster: EksCluster,
    vpc: Vpc,
    node: Node,
    ec2: Ec2,
    in_use: frozenset[IPv4Address],
    tell: Witness,
) -> Settling:
    rules = settings(cluster, node)
    return Settling(node.name, rules, NodeEc2(ec2, vpc, cluster, node, rules), in_use, tell)


def _give_addresses(
    cluster: str, ec2: Ec2, waiting: Sequence[Bound], ipamds: Sequence[Settling], tell: Witness
) -> tuple[list[PodAddress], Sequence[Bound]]:
    """Addresses for pods in their order, and the pods that are left without.

    kubelet tries again and again, so an address that turns up later is found: another round
    follows as long as the last one changed anything.
    """
    given: list[PodAddress] = []
    changed = True
    while changed:
        changed = _settle(ipamds)
        left: list[Bound] = []
        for pod, ipamd in waiting:
            placed = _give_address(cluster, ec2, pod, ipamd, tell)
            if placed:
                given.append(placed)
            else:
                left.append((pod, ipamd))
        changed = changed or len(left) < len(waiting)
        waiting = left
    for pod, ipamd in waiting:
        tell(Refused(ipamd.instance, pod, ipamd.stats))
    return given, waiting


def _settle(ipamds: Iterable[Settling]) -> bool:
    """Run every node's pool loop; whether any of them did anything."""
    acted = False
    for ipamd in ipamds:
        acted |= ipamd.settle()
    return acted


def _give_address(
    cluster: str, ec2: Ec2, pod: Pod, ipamd: Settling, tell: Witness
) -> PodAddress | None:
    """What a pod gets on its node; the node's pool loop runs before the next pod comes."""
    if pod.host_network:
        node_ip = ec2.attached(ipamd.instance)[0].primary
        return PodAddress(pod.netns, cluster, ipamd.instance, 0, node_ip, host_network=True)
    stats, found = ipamd.stats, ipamd.assign(pod.eni)
    placed = PodAddress(pod.netns, cluster, ipamd.instance, *found) if found else None
    if placed:
        tell(Added(ipamd.instance, pod, placed, stats))
    ipamd.settle()
    return placed


def _without_address(cluster: str, pod: Pod, ipamd: Settling) -> Pending:
    reason = f"{NO_ADDRESS}: {ipamd.shortage(pod.eni)}"
    return Pending(pod.netns, cluster, reason, node=ipamd.instance)


def _kept(ec2: Ec2, before: Iterable[tuple[Pod, PodAddress]]) -> Iterator[PodAddress]:
    """What of an earlier run still holds; a node's own address may have changed."""
    enis = {(eni.instance, eni.device_index): eni for eni in ec2.enis()}
    for pod, placed in before:
        if pod.host_network:
            yield replace(placed, ip=enis[placed.node, 0].primary)
        elif _has_address(enis, placed) and pod.eni in (None, placed.device_index):
            yield placed


def _has_address(enis: Mapping[tuple[str, int], Eni], placed: PodAddress) -> bool:
    eni = enis.get((placed.node, placed.device_index))
    if eni is None:
        return False
    return placed.ip in eni.secondary or any(placed.ip in prefix for prefix in eni.prefixes)
