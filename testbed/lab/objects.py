"""A cluster's objects of the kinds that manifests may hold."""

from dataclasses import replace

from testbed.description.problem import Problem
from testbed.eks.model import EksCluster
from testbed.kubernetes.manifests import Objects
from testbed.lab import Cluster


def objects(cluster: Cluster) -> Objects:
    """What manifests may change of a cluster."""
    configs = cluster.eni_configs if isinstance(cluster, EksCluster) else ()
    return Objects(cluster.pods, cluster.services, cluster.endpoint_slices, configs)


def with_objects(cluster: Cluster, changed: Objects) -> Cluster:
    """The cluster with these objects and no others.

    Raises DescriptionError, with file and line, for a kind that such a cluster does not have.
    """
    same = replace(
        cluster,
        pods=changed.pods,
        services=changed.services,
        endpoint_slices=changed.endpoint_slices,
    )
    if isinstance(same, EksCluster):
        return replace(same, eni_configs=changed.eni_configs)
    for config in changed.eni_configs:
        message = f"kind ENIConfig is of EKS clusters; {cluster.name} is of kind {cluster.kind}"
        problem = Problem(("eniConfigs", config.name), message)
        raise changed.refusal(problem) or problem.error()
    return same
