"""What the API server refuses of an object that takes another one's place.

Words: kubernetes, pkg/apis/core/validation (ValidatePodUpdate), pkg/apis/apps/validation
(ValidateDeploymentUpdate).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from testbed.kubernetes.manifests.documents import Manifest
from testbed.kubernetes.manifests.workload_objects import Deployment
from testbed.kubernetes.manifests.workload_objects import Pod as PodObject
from testbed.kubernetes.model import Pod

IMMUTABLE = "field is immutable"
UNCHANGEABLE = (
    "pod updates may not change fields other than `spec.containers[*].image`,"
    " `spec.initContainers[*].image`, `spec.activeDeadlineSeconds` or `spec.tolerations` (only"
    " additions to existing tolerations); delete it first"
)


def check(manifest: Manifest, before: Sequence[Any], after: Sequence[Any]) -> None:
    """Raise DescriptionError where what is there may not become what is written.

    before, after: the pods, Services or slices that the object is.
    """
    match manifest.value:
        case Deployment(spec=spec):
            if not all(spec.selector.selects(pod.labels or {}) for pod in before):
                raise manifest.error(IMMUTABLE, "spec", "selector")
        case PodObject() if before and not _may_become(before[0], after[0]):
            raise manifest.error(UNCHANGEABLE, "spec")


def _may_become(before: Pod, after: Pod) -> bool:
    """Labels, annotations and status may change, images too; nothing that a lab is made of."""
    changed = replace(
        before,
        labels=after.labels,
        annotations=after.annotations,
        ready=after.ready,
        terminating=after.terminating,
        tolerations=after.tolerations,
    )
    return changed == after and {*before.tolerations} <= {*after.tolerations}
