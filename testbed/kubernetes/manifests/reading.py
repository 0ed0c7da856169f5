"""What the objects of manifests add to a cluster of a topology.  Pure."""

from collections.abc import Mapping

from testbed.kubernetes import model
from testbed.kubernetes.endpoint_slices import EndpointSlice
from testbed.kubernetes.eni_config import EniConfig
from testbed.kubernetes.manifests import ObjectName, Objects
from testbed.kubernetes.manifests.documents import Manifest
from testbed.kubernetes.manifests.documents import read as read_documents
from testbed.kubernetes.manifests.eni_config_objects import EniConfigObject, eni_config
from testbed.kubernetes.manifests.service_objects import Service
from testbed.kubernetes.manifests.services import endpoint_slices, service
from testbed.kubernetes.manifests.workload_objects import PodStatus
from testbed.kubernetes.manifests.workloads import workloads


def read(files: Mapping[str, str]) -> Objects:
    """As `parse` of the package."""
    documents = read_documents(files)
    pods: list[model.Pod] = []
    services: list[model.Service] = []
    slices: list[EndpointSlice] = []
    configs: list[EniConfig] = []
    origins: dict[tuple[str, str], Manifest] = {}
    statuses: dict[str, PodStatus] = {}
    for manifest in documents:
        for workload in workloads(manifest):
            pods += workload.pods
            origins |= {("pods", pod.netns): manifest for pod in workload.pods}
            statuses |= {pod.netns: workload.status for pod in workload.pods}
        if isinstance(manifest.value, Service):
            services.append(service(manifest.value))
            origins["services", services[-1].qualified] = manifest
        if isinstance(manifest.value, EniConfigObject):
            configs.append(eni_config(manifest.value))
            origins["eniConfigs", manifest.value.metadata.name] = manifest
        for one in endpoint_slices(manifest):
            slices.append(one)
            origins["endpointSlices", one.qualified] = manifest
    return Objects(
        pods=tuple(pods),
        services=tuple(services),
        endpoint_slices=tuple(slices),
        eni_configs=tuple(configs),
        written={_name(manifest): manifest for manifest in documents},
        origins=origins,
        statuses=statuses,
    )


def _name(manifest: Manifest) -> ObjectName:
    metadata = manifest.value.metadata
    of_cluster = isinstance(manifest.value, EniConfigObject)
    namespace = "" if of_cluster else metadata.namespace
    return ObjectName(manifest.value.kind, namespace, metadata.name)
