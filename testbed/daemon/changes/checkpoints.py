"""ipamD's checkpoint of each EKS node, where the next start of aws-node reads it.

aws-node/NODE/ipam.json      /var/run/aws-node/ipam.json on a real node
"""

import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from testbed.allocations import Allocations
from testbed.eks.ipamd.datastore.checkpoint import Entry, read, written
from testbed.eks.model import EksCluster
from testbed.eks.profiles import ERAS
from testbed.errors import CheckFailed
from testbed.kernel.machine import whole
from testbed.kubernetes.model import Node
from testbed.lab import Lab


def file(directory: Path, cluster: EksCluster, node: Node) -> Path:
    """The node's, by the name that AWS_VPC_K8S_CNI_BACKING_STORE has."""
    return directory / node.name / PurePosixPath(cluster.env.backing_store).name


def write(directory: Path, lab: Lab, allocations: Allocations) -> None:
    """Bring the files up to date; v1.5 has none.  Raises OSError on a full file system.

    An address that was there before keeps its time.
    """
    entries = _entries(lab, allocations)
    wanted = {
        file(directory, cluster, node): entries[node.name]
        for cluster in lab.clusters
        if isinstance(cluster, EksCluster) and ERAS[cluster.profile].checkpoints
        for node in cluster.nodes
    }
    for path, own in wanted.items():
        _write(path, own)
    for gone in {*directory.glob("*")} - {path.parent for path in wanted}:
        shutil.rmtree(gone)


def _entries(lab: Lab, allocations: Allocations) -> dict[str, list[Entry]]:
    """What each node's ipamD knows, without times."""
    pods = {pod.netns: pod for cluster in lab.clusters for pod in cluster.pods}
    found: dict[str, list[Entry]] = {
        node.name: [] for cluster in lab.clusters for node in cluster.nodes
    }
    forgotten = {pod for memory in allocations.memories for pod in memory.forgotten}
    for at in sorted(allocations.pods, key=lambda at: (at.device_index, int(at.ip))):
        if at.node in found and not at.host_network and at.pod not in forgotten:
            pod = pods[at.pod]
            found[at.node].append(Entry(pod.sandbox, at.ip, 0, pod.namespace, pod.name))
    for memory in allocations.memories:
        found[memory.node] += memory.leaked
    return found


def _write(path: Path, entries: Iterable[Entry]) -> None:
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    before = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    text = written(_timed(entries, before))
    if text != before:
        whole.write(path, text)
    for other in {*path.parent.iterdir()} - {path}:
        if other.is_file():
            other.unlink()


def _timed(entries: Iterable[Entry], before: str) -> Iterator[Entry]:
    try:
        times = {(one.container, one.ip): one.at_ns for one in read(before)} if before else {}
    except CheckFailed:  # somebody has written into it; ipamD writes over it, too
        times = {}
    now = time.time_ns()
    for entry in entries:
        if entry.at_ns:
            yield entry
        else:  # quicker than dataclasses.replace by far, and labs have thousands
            at_ns = times.get((entry.container, entry.ip), now)
            yield Entry(entry.container, entry.ip, at_ns, entry.namespace, entry.name)
