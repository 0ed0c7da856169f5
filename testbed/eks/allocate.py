"""A cluster's pods come to their nodes and addresses, as scheduler and ipamD arrange it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from testbed.eks.ipamd import settings
from testbed.eks.limits import room
from testbed.eks.model import EksCluster
from testbed.eks.pool import Ipamd
from testbed.kubernetes.keep import still_bound, still_placed
from testbed.kubernetes.model import Pod
from testbed.kubernetes.placement import Pending, PodAddress
from testbed.kubernetes.schedule import schedule
from testbed.vpc.ec2 import Ec2, Eni

# kubelet's words, in the pod's event FailedCreatePodSandBox
NO_ADDRESS = "failed to assign an IP address to container"

Bound = tuple[Pod, Ipamd]  # a pod, and the ipamD of the node it is bound to


def allocate_pods(
    cluster: EksCluster,
    ec2: Ec2,
    before: Iterable[PodAddress] = (),
    waiting: Iterable[Pending] = (),
) -> tuple[tuple[PodAddress, ...], tuple[Pending, ...]]:
    """The cluster's pods that run and those that wait, each in the topology's order.

    The nodes' primary ENIs exist.  before, waiting: what the last run said; a pod keeps its node
    and address as long as both are there and fit what the topology says of the pod.
    """
    kept = {placed.pod: placed for placed in _kept(cluster, ec2, before)}
    in_use = frozenset(placed.ip for placed in kept.values() if not placed.host_network)
    ipamds = {
        node.name: Ipamd(node.name, settings(cluster, node), ec2, in_use) for node in cluster.nodes
    }
    bound = dict(still_bound(cluster, waiting)) | {pod: at.node for pod, at in kept.items()}
    plan = schedule({node.name: room(node) for node in cluster.nodes}, cluster.pods, bound)
    new = [
        (pod, ipamds[plan.bound[pod.netns]])
        for pod in cluster.pods
        if pod.netns in plan.bound and pod.netns not in kept
    ]
    given, left = _give_addresses(cluster.name, new, tuple(ipamds.values()))
    running = kept | {placed.pod: placed for placed in given}
    pending = {pod: Pending(pod, cluster.name, why) for pod, why in plan.unschedulable.items()}
    pending |= {pod.netns: _without_address(cluster.name, pod, ipamd) for pod, ipamd in left}
    names = [pod.netns for pod in cluster.pods]
    return (
        tuple(running[name] for name in names if name in running),
        tuple(pending[name] for name in names if name in pending),
    )


def _give_addresses(
    cluster: str, waiting: Sequence[Bound], ipamds: Sequence[Ipamd]
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
            placed = _give_address(cluster, pod, ipamd)
            if placed:
                given.append(placed)
            else:
                left.append((pod, ipamd))
        changed = changed or len(left) < len(waiting)
        waiting = left
    return given, waiting


def _settle(ipamds: Iterable[Ipamd]) -> bool:
    """Run every node's pool loop; whether any of them did anything."""
    acted = False
    for ipamd in ipamds:
        acted |= ipamd.settle()
    return acted


def _give_address(cluster: str, pod: Pod, ipamd: Ipamd) -> PodAddress | None:
    """What a pod gets on its node; the node's pool loop runs before the next pod comes."""
    if pod.host_network:
        node_ip = ipamd.node_address
        return PodAddress(pod.netns, cluster, ipamd.instance, 0, node_ip, host_network=True)
    found = ipamd.assign(pod.eni)
    ipamd.settle()
    return PodAddress(pod.netns, cluster, ipamd.instance, *found) if found else None


def _without_address(cluster: str, pod: Pod, ipamd: Ipamd) -> Pending:
    reason = f"{NO_ADDRESS}: {ipamd.shortage(pod.eni)}"
    return Pending(pod.netns, cluster, reason, node=ipamd.instance)


def _kept(cluster: EksCluster, ec2: Ec2, before: Iterable[PodAddress]) -> Iterator[PodAddress]:
    """What of an earlier run still holds; a node's own address may have changed."""
    enis = {(eni.instance, eni.device_index): eni for eni in ec2.enis()}
    for pod, placed in still_placed(cluster, before):
        if pod.host_network:
            yield replace(placed, ip=enis[placed.node, 0].primary)
        elif _has_address(enis, placed) and pod.eni in (None, placed.device_index):
            yield placed


def _has_address(enis: Mapping[tuple[str, int], Eni], placed: PodAddress) -> bool:
    eni = enis.get((placed.node, placed.device_index))
    return eni is not None and placed.ip in eni.secondary
