"""The logs of ipamD and of the plugin `aws-cni`, which an EKS node shows below its /var/log.

logs/NODE/var/log/aws-routed-eni/ipamd.log
logs/NODE/run/containers/aws-node/…        what is in the container only
"""

import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from testbed.allocations import Allocations
from testbed.eks.logs.events import Event
from testbed.eks.logs.story import deleted, logs, started
from testbed.eks.model import EksCluster
from testbed.lab import Lab

LARGEST_BYTES = 8 << 20  # upstream's are 100 MB, with five old ones; a lab's files are in memory
OLD = ".1"


def between(
    before: Lab | None, earlier: Allocations, lab: Lab, allocations: Allocations
) -> Iterator[Event]:
    """What became of a lab's EKS nodes and pods when another one took its place."""
    known = {one.name: one for one in before.clusters} if before else {}
    for cluster in lab.clusters:
        old = known.get(cluster.name)
        was = old if isinstance(old, EksCluster) else None
        if was:
            yield from deleted(was, earlier.pods, allocations.pods)
        if isinstance(cluster, EksCluster):
            yield from started(was, cluster)


def texts(lab: Lab, allocations: Allocations, events: Iterable[Event]) -> list[tuple[str, str]]:
    """What these events make the nodes' logs say now, each with the log's path.

    Several may have one path: both settings may name one file.
    """
    events, now, vpcs = tuple(events), datetime.now(UTC), {vpc.name: vpc for vpc in lab.vpcs}
    return [
        (f"{log.node}{log.place.path}", log.place.text(log.lines, now))
        for cluster in lab.clusters
        if isinstance(cluster, EksCluster)
        for log in logs(cluster, vpcs[cluster.vpc], allocations.enis, events)
    ]


def append(directory: Path, lab: Lab, said: Iterable[tuple[str, str]]) -> None:
    """Append to the logs; those of nodes that are gone go.

    A log that cannot be written is not, as upstream's: nothing else waits for it.
    """
    for path, text in said:
        with suppress(OSError):
            _append(directory / path, text)
    clusters = (cluster for cluster in lab.clusters if isinstance(cluster, EksCluster))
    nodes = {directory / node.name for cluster in clusters for node in cluster.nodes}
    for gone in {*directory.glob("*")} - nodes:
        shutil.rmtree(gone, ignore_errors=True)


def _append(file: Path, text: str) -> None:
    """Raises OSError.  Where nothing is said no file is made."""
    if not text:
        return
    file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    if file.exists() and file.stat().st_size > LARGEST_BYTES:
        file.replace(file.with_name(file.name + OLD))
    with file.open("a", encoding="utf-8") as log:
        log.write(text)
