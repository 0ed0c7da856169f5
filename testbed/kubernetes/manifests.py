"""Kubernetes manifests as pods and Services of a cluster.  Pure: somebody else reads the files.

A container answers on the ports it declares and on no other: on TCP ports as an HTTP server, so
that curl has an answer, on UDP ports with an echo.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from testbed.description import MOST_REPLICAS, mistakes, ports
from testbed.description.document import Document, read_all
from testbed.description.problem import Path, Problem, found, nearest, quoted
from testbed.errors import DescriptionError, Where
from testbed.kubernetes import model, objects
from testbed.kubernetes.replicas import pod_name, template_hash

KINDS: dict[str, type[objects.Object]] = {
    "Pod": objects.Pod,
    "Deployment": objects.Deployment,
    "Service": objects.Service,
}
KNOWN = ", ".join(KINDS)
TEMPLATE = ("spec", "template")

HOSTNAME = "kubernetes.io/hostname"
EVERY_NODE = {"kubernetes.io/os": "linux", "beta.kubernetes.io/os": "linux"}  # labels nodes have


@dataclass(frozen=True)
class Objects:
    """What manifests add to a cluster, and where each was written.

    origins: by `pods` or `services` and the name.
    """

    pods: tuple[model.Pod, ...] = ()
    services: tuple[model.Service, ...] = ()
    origins: Mapping[tuple[str, str], Where] = field(default_factory=dict)


@dataclass(frozen=True)
class _Manifest:
    """One object as it was written: alone in its document, or at a place in a List."""

    document: Document
    path: Path
    data: Mapping[str, Any]
    value: objects.Object

    def error(self, message: str, *path: str | int) -> DescriptionError:
        """A mistake at a path inside the object."""
        return _error(self.document, Problem((*self.path, *path), message))

    @property
    def where(self) -> Where:
        """The line of its name."""
        path = (*self.path, "metadata", "name")
        return Where(self.document.file, self.document.line(path))


@dataclass(frozen=True)
class _Workload:
    """Equal pods, and the numbers their ports' names stand for."""

    manifest: _Manifest
    pods: tuple[model.Pod, ...]
    sample: model.Pod  # there may be no replica at all
    named: Mapping[tuple[str, str], int]  # by name and protocol


def parse(files: Mapping[str, str]) -> Objects:
    """The pods and Services that the texts of these files describe, in their order.

    Raises DescriptionError with file and line, also for what is not enforced.
    """
    read = [
        manifest
        for file, text in files.items()
        for document in read_all(text, file)
        for manifest in _manifests(document)
    ]
    workloads = [one for manifest in read for one in _workloads(manifest)]
    pods: list[model.Pod] = []
    services: list[model.Service] = []
    origins: dict[tuple[str, str], Where] = {}
    for workload in workloads:
        pods += workload.pods
        where = workload.manifest.where
        origins |= {("pods", pod.name): where for pod in workload.pods}
    for manifest in read:
        if isinstance(manifest.value, objects.Service):
            services.append(_service(manifest, manifest.value, workloads))
            origins["services", manifest.value.metadata.name] = manifest.where
    return Objects(tuple(pods), tuple(services), origins)


def _manifests(document: Document) -> Iterator[_Manifest]:
    """The object of a document, or those of its List."""
    if document.data.get("kind") != "List":
        yield _manifest(document, (), document.data)
        return
    items = document.data.get("items")
    if not isinstance(items, list):
        raise _error(document, Problem(("items",), f"expected a list, found {found(items)}"))
    for i, item in enumerate(items):
        yield _manifest(document, ("items", i), item)


def _manifest(document: Document, path: Path, data: Any) -> _Manifest:
    if not isinstance(data, Mapping):
        raise _error(document, Problem(path, f"expected a map, found {found(data)}"))
    kind = data.get("kind")
    if not isinstance(kind, str):
        raise _error(document, Problem((*path, "kind"), f"expected text, found {found(kind)}"))
    if kind not in KINDS:
        problem = Problem(path, f"kind {kind} is not enforced by the testbed; {KNOWN} are")
        raise problem.error(document.file, document.line((*path, "kind")))
    try:
        value = TypeAdapter(KINDS[kind]).validate_python(data, by_alias=True, by_name=False)
    except ValidationError as error:
        mistake = mistakes.in_file(error, KINDS[kind], data, _unknown_field)
        raise _error(document, mistake.under(*path)) from error
    manifest = _Manifest(document, path, data, value)
    if not value.metadata.name:
        raise manifest.error("this key is missing", "metadata", "name")
    return manifest


def _unknown_field(name: str, known: Collection[str]) -> str:
    return f"the field {quoted(name)} is not enforced by the testbed{nearest(name, known)}"


def _error(document: Document, problem: Problem) -> DescriptionError:
    return problem.error(document.file, document.line(problem.path))


def _workloads(manifest: _Manifest) -> Iterator[_Workload]:
    match manifest.value:
        case objects.Pod(metadata=metadata, spec=spec):
            pod = _pod(manifest, spec, metadata, ("spec",))
            yield _Workload(manifest, (pod,), pod, _named_ports(spec))
        case objects.Deployment() as deployment:
            yield _deployment(manifest, deployment)


def _deployment(manifest: _Manifest, deployment: objects.Deployment) -> _Workload:
    """Its pods, by way of the ReplicaSet that Kubernetes makes for each template."""
    spec, metadata = deployment.spec, deployment.metadata
    labels, wanted = spec.template.metadata.labels, spec.selector.match_labels
    if not wanted and deployment.api_version == "apps/v1":
        raise manifest.error("this key is missing", "spec", "selector", "matchLabels")
    if not wanted.items() <= labels.items():
        message = "`selector` does not match template `labels`"  # Kubernetes' words
        raise manifest.error(message, *TEMPLATE, "metadata", "labels")
    if spec.replicas > MOST_REPLICAS:
        message = f"expected at most {MOST_REPLICAS}, found {found(spec.replicas)}"
        raise manifest.error(message, "spec", "replicas")
    hashed = template_hash(manifest.data["spec"]["template"])
    made_of = replace(metadata, labels={**labels, "pod-template-hash": hashed})
    sample = _pod(manifest, spec.template.spec, made_of, (*TEMPLATE, "spec"))
    replica_set = f"{metadata.name}-{hashed}"
    names = [pod_name(replica_set, metadata.namespace, i) for i in range(spec.replicas)]
    pods = tuple(replace(sample, name=name) for name in names)
    return _Workload(manifest, pods, sample, _named_ports(spec.template.spec))


def _pod(
    manifest: _Manifest, spec: objects.PodSpec, metadata: objects.Metadata, path: Path
) -> model.Pod:
    for i, container in enumerate(spec.containers):
        for j, port in enumerate(container.ports):
            # Kubernetes itself writes the port of a hostNetwork pod there
            if port.host_port and (not spec.host_network or port.host_port != port.container_port):
                place = (*path, "containers", i, "ports", j, "hostPort")
                raise manifest.error("hostPort is not enforced by the testbed", *place)
    return model.Pod(
        name=metadata.name,
        namespace=metadata.namespace,
        labels=metadata.labels,
        node=_node(manifest, spec, path),
        host_network=spec.host_network,
        containers=tuple(_container(container) for container in spec.containers),
    )


def _node(manifest: _Manifest, spec: objects.PodSpec, path: Path) -> str:
    """The node a pod has to run on; empty where the scheduler chooses."""
    for key, value in spec.node_selector.items():
        if key != HOSTNAME and EVERY_NODE.get(key) != value:
            message = f"no node has this label; {quoted(HOSTNAME)} is enforced"
            raise manifest.error(message, *path, "nodeSelector", key)
    selected = spec.node_selector.get(HOSTNAME, "")
    if spec.node_name and selected not in ("", spec.node_name):
        message = f"the pod is bound to {quoted(spec.node_name)} by nodeName"
        raise manifest.error(message, *path, "nodeSelector", HOSTNAME)
    return spec.node_name or selected


def _container(container: objects.Container) -> model.Container:
    protocols: dict[str, ports.Protocol] = {"TCP": "http", "UDP": "udp"}
    served = [ports.Port(one.container_port, protocols[one.protocol]) for one in container.ports]
    return model.Container(container.name, tuple(served))


def _named_ports(spec: objects.PodSpec) -> dict[tuple[str, str], int]:
    ports = (port for container in spec.containers for port in container.ports if port.name)
    return {(port.name, port.protocol): port.container_port for port in ports}


def _service(
    manifest: _Manifest, written: objects.Service, workloads: Iterable[_Workload]
) -> model.Service:
    metadata, spec = written.metadata, written.spec
    service = model.Service(
        name=metadata.name,
        namespace=metadata.namespace,
        selector=spec.selector,
        ports=(),
        type=spec.type,
        cluster_ip=spec.cluster_ip,
    )
    chosen = [one for one in workloads if service.selects(one.sample)]
    ports = tuple(
        model.ServicePort(
            port=port.port,
            target_port=_target(manifest, i, port, chosen),
            node_port=port.node_port,
            name=port.name,
            protocol=port.protocol,
        )
        for i, port in enumerate(spec.ports)
    )
    return replace(service, ports=ports)


def _target(
    manifest: _Manifest, index: int, port: objects.ServicePort, chosen: Iterable[_Workload]
) -> int | None:
    """The number of a target port; a name is looked up in the manifests of the chosen pods."""
    name = port.target_port
    if not isinstance(name, str):
        return name
    numbers = {
        one.named[name, port.protocol] for one in chosen if (name, port.protocol) in one.named
    }
    if len(numbers) == 1:
        return numbers.pop()
    message = f"no pod it selects has a {port.protocol} port named {quoted(name)}"
    if numbers:
        written = " and ".join(str(number) for number in sorted(numbers))
        message = f"{quoted(name)} is {written} in the pods it selects; write the number"
    raise manifest.error(message, "spec", "ports", index, "targetPort")
