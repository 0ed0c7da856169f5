"""The fields of Service, Endpoints and EndpointSlice that the testbed takes.

Source: v1, discovery.k8s.io/v1 and v1beta1.
"""

from collections.abc import Mapping
from dataclasses import field
from ipaddress import IPv4Network
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic.dataclasses import dataclass

from testbed.description import Ip, refusal
from testbed.description.problem import found
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
from testbed.kubernetes.model import (
    AFFINITY_S,
    LONGEST_AFFINITY_S,
    ServiceType,
    TrafficDistribution,
    TrafficPolicy,
)
from testbed.kubernetes.service_fields import ClusterIp, TargetPort


def _source_range(given: Any) -> Any:
    """A range of clients; as in Kubernetes it may be written by any address inside it."""
    text = str(given).strip()
    try:
        if "/" not in text:
            raise ValueError(text)
        return IPv4Network(text, strict=False)
    except ValueError as error:
        message = f"expected an IPv4 range such as 10.0.0.0/16, found {found(given)}"
        raise refusal(message) from error


SourceRange = Annotated[IPv4Network, BeforeValidator(_source_range)]


@dataclass(frozen=True, config=WRITTEN, kw_only=True)
class ServicePort:
    """A port of a Service; a target may be the name of a container's port."""

    port: Number
    target_port: Annotated[TargetPort, BeforeValidator(lambda port: port or None)] = None
    node_port: MaybeNumber = None
    name: str = ""
    protocol: Transport = "TCP"
    app_protocol: Ignored = None


@dataclass(frozen=True, config=WRITTEN, kw_only=True)
class ClientIpConfig:
    """How long a client stays with its endpoint."""

    timeout_seconds: Annotated[Count, Field(ge=1, le=LONGEST_AFFINITY_S)] = AFFINITY_S


@dataclass(frozen=True, config=WRITTEN, kw_only=True)
class SessionAffinityConfig:
    """Of the only kind of affinity there is."""

    client_ip: Annotated[ClientIpConfig, Field(alias="clientIP")] = ClientIpConfig()


@dataclass(frozen=True, config=WRITTEN, kw_only=True)
class ServiceSpec:
    """A Service, as far as kube-proxy and the cloud make it real."""

    ports: tuple[ServicePort, ...] = ()
    selector: Mapping[str, str] = field(default_factory=dict)
    type: ServiceType = "ClusterIP"
    cluster_ip: Annotated[ClusterIp, BeforeValidator(lambda ip: ip or None)] = Field(
        None, alias="clusterIP"
    )
    allocate_load_balancer_node_ports: Flag = True
    external_ips: Annotated[tuple[Ip, ...], Field(alias="externalIPs")] = ()
    external_name: str = ""
    external_traffic_policy: TrafficPolicy = "Cluster"
    health_check_node_port: MaybeNumber = None
    internal_traffic_policy: TrafficPolicy = "Cluster"
    ip_families: tuple[Literal["IPv4"], ...] = ("IPv4",)
    ip_family_policy: Literal["SingleStack", "PreferDualStack"] = "SingleStack"
    load_balancer_ip: Annotated[
        Ip | None, BeforeValidator(lambda ip: ip or None), Field(alias="loadBalancerIP")
    ] = None
    load_balancer_class: str = ""
    load_balancer_source_ranges: tuple[SourceRange, ...] = ()
    publish_not_ready_addresses: Flag = False
    session_affinity: Literal["None", "ClientIP"] = "None"
    session_affinity_config: SessionAffinityConfig | None = None
    traffic_distribution: TrafficDistribution = ""
    cluster_ips: Annotated[tuple[ClusterIp, ...], Field(alias="clusterIPs")] = ()  # once more

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if self.session_affinity_config and self.session_affinity == "None":
            message = "must not be set when sessionAffinity is None"
            raise refusal(message, "sessionAffinityConfig")
        if self.cluster_ips and self.cluster_ip != self.cluster_ips[0]:
            raise refusal("the first one must be clusterIP", "clusterIPs", 0)
        return self


@dataclass(frozen=True, config=REPORTED, kw_only=True)
class Ingress:
    """An address of a load balancer; AWS's have a host name instead, and no rule is about it."""

    ip: Ip | None = None
    ip_mode: Literal["VIP", "Proxy"] = "VIP"


@dataclass(frozen=True, config=REPORTED, kw_only=True)
class LoadBalancerStatus:
    """What the cloud told of a load balancer."""

    ingress: tuple[Ingress, ...] = ()


@dataclass(frozen=True, config=REPORTED, kw_only=True)
class ServiceStatus:
    """What a cluster said of a Service."""

    load_balancer: LoadBalancerStatus = LoadBalancerStatus()


@dataclass(frozen=True, config=WRITTEN, kw_only=True)
class Service:
    """kind: Service."""

    api_version: Literal["v1"]
    kind: Literal["Service"]
    metadata: Metadata
    spec: ServiceSpec
    status: ServiceStatus = ServiceStatus()


@dataclass(frozen=True, config=REPORTED, kw_only=True)
class TargetRef:
    """Whose address it is."""

    kind: str = ""
    name: str = ""
    namespace: str = "default"


@dataclass(frozen=True, config=WRITTEN, kw_only=True)
class SubsetAddress:
    """An address of an Endpoints object."""

    ip: Ip
    node_name: str = ""
    target_ref: TargetRef = TargetRef()
    hostname: str = ""


@dataclass(frozen=True, config=WRITTEN, kw_only=True)
class EndpointPort:
    """A port that all addresses beside it serve; named as the Service's port is."""

    port: Number
    name: str | None = None
    protocol: Transport = "TCP"
    app_protocol: Ignored = None


@dataclass(frozen=True, config=WRITTEN, kw_only=True)
class Subset:
    """Addresses that serve the same ports."""

    addresses: tuple[SubsetAddress, ...] = ()
    not_ready_addresses: tuple[SubsetAddress, ...] = ()
    ports: tuple[EndpointPort, ...] = ()


@dataclass(frozen=True, config=WRITTEN, kw_only=True)
class Endpoints:
    """kind: Endpoints."""

    api_version: Literal["v1"]
    kind: Literal["Endpoints"]
    metadata: Metadata
    subsets: tuple[Subset, ...] = ()


@dataclass(frozen=True, config=WRITTEN, kw_only=True)
class Conditions:
    """Of an endpoint; one that is not told is ready and serves."""

    ready: Flag | None = None
    serving: Flag | None = None
    terminating: Flag | None = None


@dataclass(frozen=True, config=WRITTEN, kw_only=True)
class ForZone:
    """A zone an endpoint is meant for."""

    name: str


@dataclass(frozen=True, config=WRITTEN, kw_only=True)
class Hints:
    """Topology hints of an endpoint."""

    for_zones: tuple[ForZone, ...] = ()


@dataclass(frozen=True, config=WRITTEN, kw_only=True)
class Endpoint:
    """An endpoint of a slice; of several addresses, which all mean the same, the first counts."""

    addresses: Annotated[tuple[Ip, ...], Field(min_length=1)]
    conditions: Conditions = Conditions()
    node_name: str = ""
    target_ref: TargetRef = TargetRef()
    hints: Hints = Hints()
    hostname: str = ""
    zone: Ignored = None


@dataclass(frozen=True, config=WRITTEN, kw_only=True)
class SlicePort(EndpointPort):
    """The same of a slice, where no number means all; kube-proxy passes such a one over."""

    port: Number | None = None  # type: ignore[assignment]  # wider than where one is needed


@dataclass(frozen=True, config=WRITTEN, kw_only=True)
class EndpointSlice:
    """kind: EndpointSlice."""

    api_version: Literal["discovery.k8s.io/v1", "discovery.k8s.io/v1beta1"]
    kind: Literal["EndpointSlice"]
    metadata: Metadata
    address_type: Literal["IPv4"]
    endpoints: tuple[Endpoint, ...] = ()
    ports: tuple[SlicePort, ...] = ()
