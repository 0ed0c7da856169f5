"""The fields of Pod and Deployment that the testbed takes.  Source: v1 and apps/v1."""

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass

from testbed.description import Ip
from testbed.kubernetes.manifests.fields import (
    REPORTED,
    WRITTEN,
    Count,
    Flag,
    Ignored,
    MaybeNumber,
    Metadata,
    Number,
    Transport,
)
from testbed.kubernetes.model import DnsPolicy
from testbed.kubernetes.scheduler.terms import Affinity, Requirement, Tolerations


def _no_text(given: Any) -> Any:
    """An empty text says no address, as everywhere in Kubernetes."""
    return given or None


@dataclass(frozen=True, config=WRITTEN, kw_only=True)
class ContainerPort:
    """A port a container serves."""

    container_port: Number
    name: str = ""
    protocol: Transport = "TCP"
    host_port: MaybeNumber = None
    host_ip: Annotated[Ip | None, BeforeValidator(_no_text), Field(alias="hostIP")] = None


@dataclass(frozen=True, config=WRITTEN, kw_only=True)
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


@dataclass(frozen=True, config=WRITTEN, kw_only=True)
class PodSpec:
    """A pod: where it runs, on whose network, and what it serves."""

    containers: tuple[Container, ...]
    host_network: Flag = False
    node_name: str = ""
    affinity: Affinity = Affinity()
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: Tolerations = ()
    dns_policy: DnsPolicy = "ClusterFirst"
    hostname: str = ""
    subdomain: str = ""
    automount_service_account_token: Ignored = None
    enable_service_links: Ignored = None
    host_ipc: Annotated[Ignored, Field(alias="hostIPC")] = None
    host_pid: Annotated[Ignored, Field(alias="hostPID")] = None
    image_pull_secrets: Ignored = None
    init_containers: Ignored = None  # they end before the pod runs
    preemption_policy: Ignored = None
    priority: Ignored = None
    priority_class_name: Ignored = None
    restart_policy: Ignored = None
    runtime_class_name: Ignored = None
    scheduler_name: Ignored = None
    security_context: Ignored = None
    service_account: Ignored = None
    service_account_name: Ignored = None
    share_process_namespace: Ignored = None
    termination_grace_period_seconds: Ignored = None
    volumes: Ignored = None


@dataclass(frozen=True, config=REPORTED, kw_only=True)
class Condition:
    """One of a pod's."""

    type: str = ""
    status: str = ""


@dataclass(frozen=True, config=REPORTED, kw_only=True)
class PodStatus:
    """What a cluster said of a pod."""

    pod_ip: Annotated[Ip | None, Field(alias="podIP")] = None
    conditions: tuple[Condition, ...] = ()

    @property
    def ready(self) -> bool:
        """Whether its readiness probe succeeds; a pod without a status is new, and will be."""
        return all(one.status == "True" for one in self.conditions if one.type == "Ready")


@dataclass(frozen=True, config=WRITTEN, kw_only=True)
class Pod:
    """kind: Pod."""

    api_version: Literal["v1"]
    kind: Literal["Pod"]
    metadata: Metadata
    spec: PodSpec
    status: PodStatus = PodStatus()


@dataclass(frozen=True, config=WRITTEN, kw_only=True)
class PodTemplate:
    """What the pods of a Deployment are made from."""

    spec: PodSpec
    metadata: Metadata = Metadata()


@dataclass(frozen=True, config=WRITTEN, kw_only=True)
class LabelSelector:
    """Which pods are a Deployment's."""

    match_labels: Mapping[str, str] = field(default_factory=dict)
    match_expressions: tuple[Requirement, ...] = ()

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Whether these labels are what it asks for."""
        asked = self.match_labels.items() <= labels.items()
        return asked and all(one.holds(labels) for one in self.match_expressions)


@dataclass(frozen=True, config=WRITTEN, kw_only=True)
class DeploymentSpec:
    """How many pods, and what they are made from."""

    template: PodTemplate
    selector: LabelSelector = LabelSelector()
    replicas: Count = 1
    min_ready_seconds: Ignored = None
    progress_deadline_seconds: Ignored = None
    revision_history_limit: Ignored = None
    strategy: Ignored = None


@dataclass(frozen=True, config=WRITTEN, kw_only=True)
class Deployment:
    """kind: Deployment."""

    api_version: Literal["apps/v1", "apps/v1beta2", "apps/v1beta1", "extensions/v1beta1"]
    kind: Literal["Deployment"]
    metadata: Metadata
    spec: DeploymentSpec
    status: Ignored = None
