"""kube-proxy's sync: every so often it writes its rules again, whatever became of them."""

import asyncio
import logging
import time
from collections.abc import Iterable
from concurrent.futures import Executor

from testbed.daemon.running import RunningLab
from testbed.errors import TestbedError
from testbed.kernel.namespaces.store import NamespaceStore
from testbed.kernel.rules import netfilter
from testbed.lab import Lab
from testbed.net.facts import Chain, State
from testbed.plan.proxies import kubelets
from testbed.probes.sockets import inside
from testbed.services.kube_proxy.sync import synced

LOOK_S = 0.5  # how often it is asked whose period is over

log = logging.getLogger(__name__)


def syncs(lab: Lab) -> bool:
    """Whether any cluster of a lab syncs."""
    return any(cluster.proxy.iptables_sync_period_s for cluster in lab.clusters)


async def sync_proxies(running: RunningLab, kernel: Executor) -> None:
    """Sync the nodes of each cluster that has an `iptablesSyncPeriod`, as often as that says."""
    last: dict[str, float] = {}
    while True:
        await asyncio.sleep(LOOK_S)
        due = [*_due(running, last)]
        if due:
            loop = asyncio.get_running_loop()
            try:
                await loop.run_in_executor(kernel, _sync, running, due)
            except (OSError, TestbedError):
                log.exception("kube-proxy's rules")


def _due(running: RunningLab, last: dict[str, float]) -> Iterable[str]:
    now = time.monotonic()
    for cluster in running.lab.clusters if running.lab else ():
        period_s = cluster.proxy.iptables_sync_period_s
        if period_s and now - last.setdefault(cluster.name, now) >= period_s:
            last[cluster.name] = now
            yield cluster.name


def _sync(running: RunningLab, due: list[str]) -> None:
    lab = running.described()
    for cluster in lab.clusters:
        if cluster.name in due:
            sync(running.store, running.state, kubelets(cluster, running.allocations))


def sync(store: NamespaceStore, state: State, nodes: Iterable[str]) -> None:
    """Let kube-proxy and kubelet look after their rules on these nodes.

    Raises KernelError, MissingFeature.
    """
    chains = [fact for fact in state if isinstance(fact, Chain)]
    for node in nodes:
        with inside(store, node):
            found = netfilter.read(node, iptables=True, nft=False)
            planned = (chain for chain in chains if chain.ns == node)
            netfilter.write(node, found, synced(planned, found))
