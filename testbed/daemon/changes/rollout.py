"""set: aws-node of a running lab rolled out with other settings."""

import warnings
from collections.abc import Callable, Iterable
from dataclasses import replace

from testbed.daemon.found import drift_to
from testbed.daemon.process.protocol import Json
from testbed.daemon.running import RunningLab
from testbed.daemon.shown import views
from testbed.description.problem import unknown
from testbed.eks.model import EksCluster
from testbed.eks.rollout import with_settings
from testbed.errors import IgnoredSetting, UsageError
from testbed.kubernetes.model import Node
from testbed.lab import Cluster, Lab
from testbed.lab.checks import check

Progress = Callable[[str], None]

DAEMON_SET = ("daemonset/aws-node", "ds/aws-node", "aws-node")  # kubectl's words for it


def set_env(
    running: RunningLab,
    progress: Progress,
    *,
    where: str,
    values: dict[str, str],
    unset: list[str],
    dry_run: bool,
) -> Json:
    """Give the CNI's daemon other variables; what that writes and removes in the kernels.

    Raises UsageError, DescriptionError; the lab is then as it was.
    """
    lab = running.described()
    cluster, _ = chosen(lab.clusters, where)
    with warnings.catch_warnings(record=True) as ignored:
        warnings.simplefilter("always", IgnoredSetting)
        changed = with_settings(cluster, overrides=values, unset=unset)
    for one in ignored:
        progress(f"warning: {one.message}")
    wanted = check(_with(lab, changed))
    difference = views.difference(*drift_to(running, wanted))
    if not dry_run:
        running.up(wanted)
    return {"cluster": cluster.name, "nodes": [node.name for node in cluster.nodes], **difference}


def _with(lab: Lab, changed: EksCluster) -> Lab:
    others = [changed if one.name == changed.name else one for one in lab.clusters]
    return replace(lab, clusters=tuple(others))


def chosen(clusters: Iterable[Cluster], where: str) -> tuple[EksCluster, tuple[Node, ...]]:
    """The EKS cluster of that name, or the only one, with its nodes; or a node and its cluster.

    Raises UsageError.
    """
    own = [one for one in clusters if isinstance(one, EksCluster)]
    if not own:
        raise UsageError("the lab has no EKS cluster, and aws-node runs in no other")
    if where in DAEMON_SET and len(own) == 1:
        return own[0], own[0].nodes
    if where in DAEMON_SET:
        which = ", ".join(one.name for one in own)
        raise UsageError(f"aws-node runs once in each EKS cluster; name one of them: {which}")
    places = {one.name: (one, one.nodes) for one in own}
    places |= {node.name: (one, (node,)) for one in own for node in one.nodes}
    if where not in places:
        raise UsageError(unknown("EKS cluster or node", where, places))
    return places[where]
