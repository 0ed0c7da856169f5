"""A node as `describe` shows it: its interfaces, its pods, its table of connections.  Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from testbed.daemon.unknown import no_place
from testbed.errors import UsageError
from testbed.kubernetes.labels import node_labels
from testbed.kubernetes.model import Node
from testbed.lab import Cluster, Lab

Row = dict[str, Any]

ENI = ("device", "name", "subnet", "primary", "secondary", "prefixes", "publicIp")
POD = ("name", "ip", "eni", "ports")


def named(name: str, rows: Sequence[Row]) -> Row:
    """The row of a node.  rows: of `get nodes`.  Raises UsageError: there is no such node."""
    for row in rows:
        if row["name"] == name:
            return row
    raise UsageError(no_place(name, {row["name"] for row in rows}, "among the nodes"))


def described(lab: Lab, row: Row, enis: Iterable[Row], pods: Iterable[Row]) -> Row:
    """A node and what is on it; row, enis and pods as `get` shows them."""
    [cluster] = [one for one in lab.clusters if one.name == row["cluster"]]
    node = next((one for one in cluster.nodes if one.name == row["name"]), None)
    return {
        **{key: value for key, value in row.items() if key != "enis"},
        "labels": dict(_labels(lab, cluster, node)) if node else {},
        "taints": [f"{one.key}={one.value}:{one.effect}" for one in node.taints] if node else [],
        "enis": [{column: eni[column] for column in ENI} for eni in enis],
        "podList": [{column: pod[column] for column in POD} for pod in pods],
    }


def _labels(lab: Lab, cluster: Cluster, node: Node) -> Mapping[str, str]:
    [vpc] = [one for one in lab.vpcs if one.name == cluster.vpc]
    [subnet] = [one for one in vpc.subnets if one.name == node.subnet]
    return node_labels(node, subnet)
