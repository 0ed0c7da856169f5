"""What `apply -f` brought into a lab stays when `up` changes the rest.  Pure."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from testbed.kubernetes.manifests import ObjectName
from testbed.kubernetes.manifests.apply import parts, put
from testbed.lab import Lab
from testbed.lab.objects import objects, with_objects

Names = frozenset[tuple[str, ObjectName]]  # each with the cluster it is in


def kept(names: Names, running: Lab, lab: Lab) -> Lab:
    """A new lab with what manifests brought into the running one.

    What the new lab has an object of its own for is the new lab's.
    """
    before = {cluster.name: objects(cluster) for cluster in running.clusters}
    clusters = []
    for cluster in lab.clusters:
        there = objects(cluster)
        for of, name in sorted(names):
            if of == cluster.name and of in before and not parts(there, name):
                there = put(there, name, parts(before[of], name))
        clusters.append(with_objects(cluster, there))
    return replace(lab, clusters=tuple(clusters))


def to_json(names: Names) -> Any:
    """The names as JSON values."""
    return sorted([cluster, *name] for cluster, name in names)


def from_json(values: Iterable[list[str]]) -> Names:
    """The names `to_json` was given."""
    return frozenset((cluster, ObjectName(*name)) for cluster, *name in values)
