"""The fields of Kubernetes' Pod, Deployment and Service that the testbed takes from manifests.

Whatever says nothing about networking is accepted and Ignored.  A field that is not here is
refused, and so is any value that asks for more than the testbed does: better no lab than one
that differs from the cluster in silence.

Source: https://kubernetes.io/docs/reference/kubernetes-api/, v1 and apps/v1.
"""

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass

from testbed.description import STRICT, Ip, Whole, refusal
from testbed.description.ports import MOST_PORT
from testbed.description.problem import found, quoted
from testbed.kubernetes.model import ServiceType

Ignored = Any
Number = Annotated[Whole, Field(ge=1, le=MOST_PORT)]
Transport = Literal["TCP", "UDP"]

# annotations that change what packets do, by how they begin
NETWORKING = (
    "service.beta.kubernetes.io/",  # of AWS' load balancers
    "service.kubernetes.io/",
    "kubernetes.io/ingress-bandwidth",
    "kubernetes.io/egress-bandwidth",
    "k8s.v1.cni.cncf.io/",
)


def _annotations(given: Any) -> Any:
    for name in given if isinstance(given, Mapping) else ():
        if str(name).startswith(NETWORKING):
            message = f"the annotation {quoted(str(name))} is not enforced by the testbed"
            raise refusal(message, str(name))
    return given


Annotations = Annotated[Any, BeforeValidator(_annotations)]


@dataclass(frozen=True, config=STRICT, kw_only=True)
class Metadata:
    """Of an object, or of a Deployment's template, which needs no name."""

    name: str = ""
    namespace: str = "default"
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Annotations = None
    creation_timestamp: Ignored = None
    finalizers: Ignored = None
    generate_name: Ignored = None
    generation: Ignored = None
    managed_fields: Ignored = None
    owner_references: Ignored = None
    resource_version: Ignored = None
    self_link: Ignored = None
    uid: Ignored = None


@dataclass(frozen=True, config=STRICT, kw_only=True)
class ContainerPort:
    """A port a container serves."""

    container_port: Number
    name: str = ""
    protocol: Transport = "TCP"
    host_port: Number | None = None


@dataclass(frozen=True, config=STRICT, kw_only=True)
class Container:
    """A container; what runs in it is the testbed's own server."""

    name: str
    ports: tuple[ContainerPort, ...] = ()
    args: Ignored = None
    command: Ignored = None
    env: Ignored = None
    env_from: Ignored = None
    image: Ignored = None
    image_pull_policy: Ignored = None
    lifecycle: Ignored = None
    liveness_probe: Ignored = None
    readiness_probe: Ignored = None
    resources: Ignored = None
    security_context: Ignored = None
    startup_probe: Ignored = None
    stdin: Ignored = None
    stdin_once: Ignored = None
    termination_message_path: Ignored = None
    termination_message_policy: Ignored = None
    tty: Ignored = None
    volume_devices: Ignored = None
    volume_mounts: Ignored = None
    working_dir: Ignored = None


@dataclass(frozen=True, config=STRICT, kw_only=True)
class PodSpec:
    """A pod: where it runs, on whose network, and what it serves."""

    containers: tuple[Container, ...]
    host_network: bool = False
    node_name: str = ""
    node_selector: Mapping[str, str] = field(default_factory=dict)
    dns_policy: Literal["ClusterFirst"] = "ClusterFirst"
    automount_service_account_token: Ignored = None
    enable_service_links: Ignored = None
    image_pull_secrets: Ignored = None
    init_containers: Ignored = None  # they end before the pod runs
    preemption_policy: Ignored = None
    priority: Ignored = None
    priority_class_name: Ignored = None
    restart_policy: Ignored = None
    scheduler_name: Ignored = None
    security_context: Ignored = None
    service_account: Ignored = None
    service_account_name: Ignored = None
    share_process_namespace: Ignored = None
    termination_grace_period_seconds: Ignored = None
    tolerations: Ignored = None  # no node has a taint
    volumes: Ignored = None


@dataclass(frozen=True, config=STRICT, kw_only=True)
class Pod:
    """kind: Pod."""

    api_version: Literal["v1"]
    kind: Literal["Pod"]
    metadata: Metadata
    spec: PodSpec
    status: Ignored = None


@dataclass(frozen=True, config=STRICT, kw_only=True)
class PodTemplate:
    """What the pods of a Deployment are made from."""

    spec: PodSpec
    metadata: Metadata = Metadata()


@dataclass(frozen=True, config=STRICT, kw_only=True)
class LabelSelector:
    """Which pods are a Deployment's."""

    match_labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, config=STRICT, kw_only=True)
class DeploymentSpec:
    """How many pods, and what they are made from."""

    template: PodTemplate
    selector: LabelSelector = LabelSelector()
    replicas: Annotated[Whole, Field(ge=0)] = 1
    min_ready_seconds: Ignored = None
    progress_deadline_seconds: Ignored = None
    revision_history_limit: Ignored = None
    strategy: Ignored = None


@dataclass(frozen=True, config=STRICT, kw_only=True)
class Deployment:
    """kind: Deployment."""

    api_version: Literal["apps/v1", "apps/v1beta2", "apps/v1beta1", "extensions/v1beta1"]
    kind: Literal["Deployment"]
    metadata: Metadata
    spec: DeploymentSpec
    status: Ignored = None


def _target(given: Any) -> Any:
    if isinstance(given, bool) or not isinstance(given, int | str):
        raise refusal(f"expected a port or a container port's name, found {found(given)}")
    if isinstance(given, int) and not 1 <= given <= MOST_PORT:
        raise refusal(f"expected a port from 1 to {MOST_PORT}, found {found(given)}")
    return given


@dataclass(frozen=True, config=STRICT, kw_only=True)
class ServicePort:
    """A port of a Service; a target may be the name of a container's port."""

    port: Number
    target_port: Annotated[int | str | None, BeforeValidator(_target)] = None
    node_port: Number | None = None
    name: str = ""
    protocol: Transport = "TCP"
    app_protocol: Ignored = None


def _cluster_ip(given: Any) -> Any:
    if given == "None":
        raise refusal("headless Services are not enforced by the testbed")
    return given or None


@dataclass(frozen=True, config=STRICT, kw_only=True)
class ServiceSpec:
    """A Service, as far as kube-proxy and the cloud make it real."""

    ports: tuple[ServicePort, ...]
    selector: Mapping[str, str] = field(default_factory=dict)
    type: ServiceType = "ClusterIP"
    cluster_ip: Annotated[Ip | None, BeforeValidator(_cluster_ip), Field(alias="clusterIP")] = None
    allocate_load_balancer_node_ports: Literal[True] = True
    external_traffic_policy: Literal["Cluster"] = "Cluster"
    internal_traffic_policy: Literal["Cluster"] = "Cluster"
    ip_families: tuple[Literal["IPv4"], ...] = ("IPv4",)
    ip_family_policy: Literal["SingleStack"] = "SingleStack"
    session_affinity: Literal["None"] = "None"
    cluster_ips: Annotated[Ignored, Field(alias="clusterIPs")] = None  # clusterIP once more
    publish_not_ready_addresses: Ignored = None  # every running pod is ready


@dataclass(frozen=True, config=STRICT, kw_only=True)
class Service:
    """kind: Service."""

    api_version: Literal["v1"]
    kind: Literal["Service"]
    metadata: Metadata
    spec: ServiceSpec
    status: Ignored = None


Object = Pod | Deployment | Service
