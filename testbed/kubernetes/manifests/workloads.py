"""Pods, alone or of a Deployment.

A container answers on the ports it declares and on no other: on TCP ports as an HTTP server, so
that curl has an answer, on UDP ports with an echo.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from testbed.description import MOST_REPLICAS
from testbed.description.ports import Port, Protocol
from testbed.description.problem import found
from testbed.description.problem import names as problem_names
from testbed.kubernetes import model
from testbed.kubernetes.cni import bandwidth
from testbed.kubernetes.manifests.documents import Manifest
from testbed.kubernetes.manifests.fields import Metadata
from testbed.kubernetes.manifests.workload_objects import (
    Container,
    Deployment,
    LabelSelector,
    Pod,
    PodSpec,
    PodStatus,
)
from testbed.kubernetes.replicas import pod_name, template_hash
from testbed.kubernetes.scheduler.checks import label_requirement

TEMPLATE = ("spec", "template")

NO_STATUS = PodStatus()


@dataclass(frozen=True)
class Workload:
    """Equal pods, and what is known of where the first one was."""

    manifest: Manifest
    pods: tuple[model.Pod, ...]
    status: PodStatus = NO_STATUS


def workloads(manifest: Manifest) -> Iterator[Workload]:
    """The pods that an object stands for; none for other kinds."""
    match manifest.value:
        case Pod(metadata=metadata, spec=spec, status=status):
            pod = _pod(spec, metadata)
            ending = metadata.deletion_timestamp is not None
            yield Workload(
                manifest, (replace(pod, ready=status.ready, terminating=ending),), status
            )
        case Deployment() as deployment:
            yield _deployment(manifest, deployment)


def _deployment(manifest: Manifest, deployment: Deployment) -> Workload:
    """Its pods, by way of the ReplicaSet that Kubernetes makes for each template."""
    _check(manifest, deployment)
    spec, metadata = deployment.spec, deployment.metadata
    hashed = template_hash(manifest.data["spec"]["template"])
    made_of = replace(
        metadata,
        labels={**spec.template.metadata.labels, "pod-template-hash": hashed},
        annotations=spec.template.metadata.annotations,
    )
    sample = _pod(spec.template.spec, made_of)
    replica_set = f"{metadata.name}-{hashed}"
    names = [pod_name(replica_set, metadata.namespace, i) for i in range(spec.replicas)]
    pods = tuple(replace(sample, name=name, owner=metadata.name) for name in names)
    return Workload(manifest, pods)


def _check(manifest: Manifest, deployment: Deployment) -> None:
    """Raise DescriptionError for what is wrong with it, whether it has pods or not."""
    spec, labels = deployment.spec, deployment.spec.template.metadata.labels
    selector = spec.selector
    for problem in problem_names(("metadata", "name"), deployment.metadata.name):
        raise manifest.error(problem.message, *problem.path)
    if selector == LabelSelector() and deployment.api_version == "apps/v1":
        raise manifest.error("this key is missing", "spec", "selector", "matchLabels")
    for i, one in enumerate(selector.match_expressions):
        for problem in label_requirement(("spec", "selector", "matchExpressions", i), one):
            raise manifest.error(problem.message, *problem.path)
    if not selector.selects(labels):
        message = "`selector` does not match template `labels`"  # Kubernetes' words
        raise manifest.error(message, *TEMPLATE, "metadata", "labels")
    if spec.replicas > MOST_REPLICAS:
        message = f"expected at most {MOST_REPLICAS}, found {found(spec.replicas)}"
        raise manifest.error(message, "spec", "replicas")


def _pod(spec: PodSpec, metadata: Metadata) -> model.Pod:
    return model.Pod(
        name=metadata.name,
        namespace=metadata.namespace,
        labels=metadata.labels,
        annotations=bandwidth.of_pod(metadata.annotations),
        node=spec.node_name,
        node_selector=spec.node_selector,
        affinity=spec.affinity,
        tolerations=spec.tolerations,
        host_network=spec.host_network,
        containers=tuple(_container(container) for container in spec.containers),
        hostname=spec.hostname,
        subdomain=spec.subdomain,
        dns_policy=spec.dns_policy,
    )


def _container(container: Container) -> model.Container:
    protocols: dict[str, Protocol] = {"TCP": "http", "UDP": "udp"}
    ports = [
        Port(
            port.container_port,
            protocols[port.protocol],
            port.name,
            host_port=port.host_port,
            host_ip=port.host_ip,
        )
        for port in container.ports
    ]
    return model.Container(container.name, tuple(ports))
