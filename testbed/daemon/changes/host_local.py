"""The files that host-local has on each node of a kops lab, where the real plugin can go on.

Each node's directory stands for the plugin's dataDir, /var/lib/cni/networks on a real node:

    NODE/kubenet/100.96.1.2
    NODE/kubenet/last_reserved_ip.0
    NODE/kubenet/lock
"""

import fcntl
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from testbed.allocations import Allocations
from testbed.kops.ipam.host_local import LOCK
from testbed.kops.ipam.stores import NETWORKS, files
from testbed.kops.model import KopsCluster
from testbed.lab import Lab


def write(directory: Path, lab: Lab, allocations: Allocations) -> None:
    """Bring the nodes' directories up to date; a lab without kops gets none.

    A file that says what it has to is left alone.  Raises OSError on a full file system.
    """
    networks = {
        directory / node / NETWORKS[cluster.cni]: wanted
        for cluster in lab.clusters
        if isinstance(cluster, KopsCluster)
        for node, wanted in files(cluster, allocations.ranges, allocations.pods).items()
    }
    for own, wanted in networks.items():
        _write(own, wanted)
    for gone in {*directory.glob("*/*")} - networks.keys():
        shutil.rmtree(gone)
    for node in {*directory.glob("*")} - {own.parent for own in networks}:
        node.rmdir()


def _write(own: Path, wanted: Mapping[str, str]) -> None:
    own.mkdir(mode=0o755, parents=True, exist_ok=True)
    with _locked(own / LOCK):
        for name in {entry.name for entry in own.iterdir()} - wanted.keys():
            (own / name).unlink()
        for name, text in wanted.items():
            file, spelt = own / name, text.encode()
            if not file.exists() or file.read_bytes() != spelt:
                file.write_bytes(spelt)


@contextmanager
def _locked(lock: Path) -> Iterator[None]:
    """host-local's own lock: a plugin that is choosing an address comes first."""
    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
