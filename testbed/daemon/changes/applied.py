"""What `apply -f` brought into a lab stays when `up` changes the rest.  Pure."""

import json
from dataclasses import replace
from typing import Any

from testbed.allocations import Allocations
from testbed.allocations import from_json as allocations_from_json
from testbed.allocations import to_json as allocations_to_json
from testbed.errors import KernelError
from testbed.kubernetes.manifests import ObjectName
from testbed.kubernetes.manifests.apply import parts, put
from testbed.lab import Lab
from testbed.lab import from_json as lab_from_json
from testbed.lab import to_json as lab_to_json
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


def sent(lab: Any) -> Lab:
    """The lab that a command sends, which made it of its own classes.

    Raises KernelError: this daemon, begun before the testbed was changed, has others.
    """
    try:
        return lab_from_json(lab)
    except ValueError as error:
        raise KernelError(
            "this lab's daemon is of another version of the testbed than the command: "
            "`testbed down`, then `testbed up FILE`"
        ) from error


def record(lab: Lab, allocations: Allocations, names: Names) -> str:
    """What the next daemon of a lab has to know, as text."""
    return json.dumps(
        {
            "lab": lab_to_json(lab),
            "allocations": allocations_to_json(allocations),
            "manifests": sorted([cluster, *name] for cluster, name in names),
        }
    )


def recorded(text: bytes) -> tuple[Lab, Allocations, Names]:
    """What `record` was given.  Raises ValueError, LookupError or TypeError: another text."""
    values = json.loads(text)
    names = ((cluster, ObjectName(*name)) for cluster, *name in values["manifests"])
    lab = lab_from_json(values["lab"])
    return lab, allocations_from_json(values["allocations"]), frozenset(names)
