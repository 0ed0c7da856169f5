"""Kubernetes manifests as what a cluster of a topology has.  Pure: somebody else reads the files.

Pods, Deployments, Services, Endpoints, EndpointSlices and ENIConfigs.  Anything else is refused
by its name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from testbed.description.problem import Problem
from testbed.errors import DescriptionError
from testbed.kubernetes import model
from testbed.kubernetes.endpoint_slices import EndpointSlice
from testbed.kubernetes.eni_config import EniConfig

if TYPE_CHECKING:
    from testbed.kubernetes.manifests.documents import Manifest
    from testbed.kubernetes.manifests.workload_objects import PodStatus


class ObjectName(NamedTuple):
    """Which object of a cluster it is; one of the whole cluster is in no namespace."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        """As kubectl prints it: `service/web`."""
        return f"{self.kind.lower()}/{self.name}"


@dataclass(frozen=True)
class Objects:
    """What manifests add to a cluster, and where each was written.

    written: the objects by name, in their order, each as it was written.  origins: the same, by
    `pods`, `services`, `endpointSlices` or `eniConfigs` and the name users type, as problems'
    paths have it.  statuses: where pods once were, by the names users type.
    """

    pods: tuple[model.Pod, ...] = ()
    services: tuple[model.Service, ...] = ()
    endpoint_slices: tuple[EndpointSlice, ...] = ()
    eni_configs: tuple[EniConfig, ...] = ()
    written: "Mapping[ObjectName, Manifest]" = field(default_factory=dict)
    origins: "Mapping[tuple[str, str], Manifest]" = field(default_factory=dict)
    statuses: "Mapping[str, PodStatus]" = field(default_factory=dict)

    def refusal(self, problem: Problem) -> DescriptionError | None:
        """A problem as one of what is written here; None where it is not of that.

        problem: its path starts at the cluster.
        """
        match problem.path:
            case (str(kind), str(name), *rest) if (kind, name) in self.origins:
                return self.origins[kind, name].refusal(replace(problem, path=tuple(rest)))
        return None

    def and_those_of(self, more: "Objects") -> "Objects":
        """These, and behind them what some manifests hold."""
        return replace(
            more,
            pods=(*self.pods, *more.pods),
            services=(*self.services, *more.services),
            endpoint_slices=(*self.endpoint_slices, *more.endpoint_slices),
            eni_configs=(*self.eni_configs, *more.eni_configs),
        )


def parse(files: Mapping[str, str]) -> Objects:
    """What the texts of these files describe, in their order.

    Raises DescriptionError with file and line, also for what is not enforced.
    """
    if not files:
        return Objects()
    from testbed.kubernetes.manifests.reading import read  # heavy: most topologies have none

    return read(files)
