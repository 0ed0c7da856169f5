"""What a node's ipamD knows since its start, where that is not what is."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network

from testbed.eks.ipamd.datastore.checkpoint import Entry, Recovery
from testbed.eks.model import EksCluster
from testbed.eks.profiles import ERAS
from testbed.kubernetes.placement import PodAddress
from testbed.vpc.eni import Eni


@dataclass(frozen=True)
class Memory:
    """What one node's ipamD goes by.

    cidrs: the VPC's ranges as they were at its start, where it reads them once; empty: today's.
    forgotten: pods that it does not know, so their addresses are free to it.
    leaked: addresses that it takes for assigned, and no pod has.
    """

    node: str
    cidrs: tuple[IPv4Network, ...] = ()
    forgotten: tuple[str, ...] = ()
    leaked: tuple[Entry, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is anything to remember."""
        return bool(self.cidrs or self.forgotten or self.leaked)


def started(node: str, recovery: Recovery, pods: Iterable[PodAddress]) -> Memory:
    """What ipamD knows of these pods of its node after it read its checkpoint.

    The VPC's ranges are read anew by the next allocation.
    """
    known = {entry.ip for entry in recovery.kept}
    there = [pod for pod in pods if pod.node == node and not pod.host_network]
    addresses = {pod.ip for pod in there}
    return Memory(
        node,
        forgotten=tuple(pod.pod for pod in there if pod.ip not in known),
        leaked=tuple(entry for entry in recovery.kept if entry.ip not in addresses),
    )


def in_use(memories: Iterable[Memory], pods: Iterable[PodAddress]) -> frozenset[IPv4Address]:
    """The addresses that data stores take for assigned."""
    memories = tuple(memories)
    forgotten = {pod for memory in memories for pod in memory.forgotten}
    held = {pod.ip for pod in pods if not pod.host_network and pod.pod not in forgotten}
    return frozenset(held | {entry.ip for memory in memories for entry in memory.leaked})


def remembered(
    cluster: EksCluster,
    ranges: tuple[IPv4Network, ...],
    before: Mapping[str, Memory],
    pods: Collection[PodAddress],
    enis: Iterable[Eni],
) -> list[Memory]:
    """The memories of a cluster's nodes now; what is not true any more is dropped.

    ranges: the VPC's.
    """
    running = {(pod.node, pod.pod) for pod in pods}
    attached: dict[str, list[Eni]] = {}
    for eni in enis:
        attached.setdefault(eni.instance, []).append(eni)
    found = []
    for node in cluster.nodes:
        memory = before.get(node.name, Memory(node.name))
        own = attached.get(node.name, ())
        read_once = ERAS[cluster.profile].reads_ranges_once
        found.append(
            replace(
                memory,
                cidrs=(memory.cidrs or ranges) if read_once else (),
                forgotten=tuple(p for p in memory.forgotten if (node.name, p) in running),
                leaked=tuple(one for one in memory.leaked if _is_there(one.ip, own)),
            )
        )
    return [memory for memory in found if memory]


def _is_there(ip: IPv4Address, enis: Iterable[Eni]) -> bool:
    return any(ip in eni.secondary or any(ip in one for one in eni.prefixes) for eni in enis)


def routed(memories: Iterable[Memory], pods: Iterable[PodAddress]) -> frozenset[str]:
    """The pods to whom their node's route leads: of those with one address the last that came.

    A pod that was forgotten came before the one that was given its address.
    """
    forgotten = {pod for memory in memories for pod in memory.forgotten}
    last: dict[tuple[str, IPv4Address], str] = {}
    for pod in sorted(pods, key=lambda pod: pod.pod not in forgotten):
        last[pod.node, pod.ip] = pod.pod
    return frozenset(last.values())
