"""Nodes, pods and Services as a topology describes them, in Kubernetes' and EC2's words."""

import re
from collections.abc import Mapping
from dataclasses import field
from hashlib import sha256
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass

from testbed.description import STRICT, Cidr, Ip, Seconds, Whole, named
from testbed.description.ports import ECHO_PORTS, MOST_PORT, Port, Ports
from testbed.kubernetes.scheduler.terms import Affinity, Labels, Taints, Tolerations
from testbed.kubernetes.service_fields import NO_CLUSTER_IP, ClusterIp, TargetPort
from testbed.kubernetes.topology_hints import is_automatic
from testbed.vpc.model import MetadataOptions


@dataclass(frozen=True, config=STRICT)
class Container:
    """A server in a pod; the containers of a pod share its addresses and its ports."""

    name: str
    ports: Ports = ECHO_PORTS


DnsPolicy = Literal["ClusterFirst", "Default"]


@dataclass(frozen=True, config=STRICT)
class Pod:
    """A pod.  `node`: where it must run; empty lets the scheduler choose.

    `eni`: the device index of the ENI whose addresses it shall have; none lets ipamD choose.
    `ready`: its readiness probe's answer.  `terminating`: it was deleted and still serves.
    `owner`: the Deployment it is of.  `subdomain`: the Service that gives it a name of its own in
    the cluster's DNS; `hostname`: that name; none takes the pod's, as a StatefulSet does.
    `node_selector`, `affinity`, `tolerations`: which nodes it may run on.
    `dns_policy`: whom it asks for names, the cluster's DNS or its node's (Default).
    `annotations`: kubernetes.io/ingress-bandwidth and egress-bandwidth.
    """

    name: str
    namespace: str = "default"
    node: str = ""
    host_network: bool = False
    containers: Annotated[tuple[Container, ...], named()] = (Container("echo"),)
    eni: Annotated[Whole, Field(ge=0)] | None = None
    labels: Mapping[str, str] | None = None
    ready: bool = True
    terminating: bool = False
    owner: str = ""
    hostname: str | None = None
    subdomain: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)
    node_selector: Labels = field(default_factory=dict)
    affinity: Affinity = Affinity()
    tolerations: Tolerations = ()
    dns_policy: DnsPolicy = "ClusterFirst"

    @property
    def selectable(self) -> Mapping[str, str]:
        """The labels Services see; where none are said, `app` is the name without its ordinal."""
        if self.labels is not None:
            return self.labels
        return {"app": re.sub(r"-[0-9]+$", "", self.name)}

    @property
    def netns(self) -> str:
        """The name users type: `web-0`, or `kube-system.coredns-0` outside `default`."""
        return self.name if self.namespace == "default" else f"{self.namespace}.{self.name}"

    @property
    def sandbox(self) -> str:
        """The id of the container that holds its namespace: drawn at random, here its name's."""
        return sha256(f"sandbox.{self.namespace}.{self.name}".encode()).hexdigest()

    @property
    def served(self) -> tuple[Port, ...]:
        """The ports of all its containers."""
        return tuple(port for container in self.containers for port in container.ports)

    @property
    def host_ports(self) -> tuple[Port, ...]:
        """Those that ports of its node lead to; none on the node's own network."""
        return () if self.host_network else tuple(port for port in self.served if port.host_port)

    def hostname_in(self, service: str) -> str:
        """Its name below that of a Service of its namespace; empty where it has none."""
        if service != self.subdomain:
            return ""
        return self.name if self.hostname is None else self.hostname

    @classmethod
    def replicas(cls, name: str, count: int, **same: Any) -> tuple[Self, ...]:
        """`count` equal pods `name-0`, `name-1`, …, as a StatefulSet names them."""
        return tuple(cls(f"{name}-{i}", **same) for i in range(count))


@dataclass(frozen=True, config=STRICT)
class Node:
    """An EC2 instance that is a worker node.

    max_pods: kubelet's --max-pods; none takes what the instance type's addresses allow.
    labels: besides the ones every node has.
    security_groups: of all its network interfaces; none for the ones its cluster gives it.
    taints: what keeps pods off that do not tolerate it, also as kubectl writes one.
    docker: it has docker's bridge, docker0, which takes 172.17.0.0/16.
    terminating: it is being deleted, which kube-proxy tells load balancers since 1.28.
    """

    name: str
    subnet: str
    instance_type: str
    private_ip: Ip | None = None
    source_dest_check: bool = True
    max_pods: Annotated[Whole, Field(ge=0)] | None = None
    labels: Mapping[str, str] | None = None
    annotations: Mapping[str, str] | None = None
    security_groups: tuple[str, ...] = ()
    taints: Taints = ()
    docker: bool = False
    terminating: bool = False
    metadata_options: MetadataOptions = MetadataOptions()


Pods = Annotated[tuple[Pod, ...], named(replicated=True)]
Nodes = Annotated[tuple[Node, ...], named()]


ServiceType = Literal["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"]
TrafficPolicy = Literal["Cluster", "Local"]
TrafficDistribution = Literal["", "PreferClose", "PreferSameZone"]  # the same by two names
FIRST_NODE_PORT, LAST_NODE_PORT = 30000, 32767  # kube-apiserver --service-node-port-range
AFFINITY_S, LONGEST_AFFINITY_S = 10800, 86400  # kubernetes, pkg/apis/core: ClientIP's timeout

# labels that take a Service away from kube-proxy (k8s.io/kubernetes, pkg/proxy/apis)
OTHER_PROXY = "service.kubernetes.io/service-proxy-name"
HEADLESS = "service.kubernetes.io/headless"


@dataclass(frozen=True, config=STRICT)
class ServicePort:
    """A port of a Service.  Without a target the pods' port has the same number.

    target_port: a number, or the name of a port of each pod.
    node_port: one of 30000-32767; none lets the cluster choose, where the type needs one.
    """

    port: Annotated[Whole, Field(ge=1, le=MOST_PORT)]
    target_port: TargetPort = None
    node_port: Annotated[Whole, Field(ge=1, le=MOST_PORT)] | None = None
    name: str = ""
    protocol: Literal["TCP", "UDP"] = "TCP"

    @property
    def target(self) -> int | str:
        """The port its endpoints serve, or its name."""
        return self.target_port or self.port


def _service_port(given: Any) -> Any:
    """A number alone is a TCP port whose target has the same number."""
    return {"port": given} if isinstance(given, int) else given


ServicePorts = tuple[
    Annotated[
        ServicePort, BeforeValidator(_service_port, json_schema_input_type=ServicePort | int)
    ],
    ...,
]


Threshold = Annotated[Whole, Field(ge=1, le=10)]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class HealthCheck:
    """How a load balancer finds out which targets can take connections; none: as its kind does.

    A target changes its state after so many equal answers in a row.  The largest values are
    AWS's; its smallest are 5 s, 2 s, 2 and 2, but nobody wants to wait that long in a lab.
    proxy_header: whether checks of another port than the targets' own begin with the header of a
    Network Load Balancer's PROXY protocol too, which AWS does not document.
    """

    interval_s: Annotated[
        Annotated[Seconds, Field(ge=0.001, le=300)] | None, Field(alias="interval")
    ] = None
    timeout_s: Annotated[
        Annotated[Seconds, Field(ge=0.001, le=60)] | None, Field(alias="timeout")
    ] = None
    healthy_threshold: Threshold | None = None
    unhealthy_threshold: Threshold | None = None
    proxy_header: Literal["traffic-port", "always"] = "traffic-port"


@dataclass(frozen=True, config=STRICT)
class Service:
    """A Service: one address for the pods whose labels have all of `selector`.

    health_check: of its load balancer, where the type has one.
    load_balancer_ip: the one that is asked for; no cloud of AWS takes it.
    load_balancer_ips: of a load balancer that has addresses; AWS's have a name.
    traffic_distribution: PreferClose takes endpoints of the caller's zone, if that has any.
    load_balancer_class: who shall make it; empty for Kubernetes' own cloud provider.
    annotations: of its load balancer, `service.beta.kubernetes.io/aws-load-balancer-internal` …
    """

    name: str
    selector: Mapping[str, str] = field(default_factory=dict)
    ports: ServicePorts = ()
    namespace: str = "default"
    type: ServiceType = "ClusterIP"
    cluster_ip: ClusterIp = None
    health_check: HealthCheck = HealthCheck()
    labels: Mapping[str, str] = field(default_factory=dict)
    external_ips: Annotated[tuple[Ip, ...], Field(alias="externalIPs")] = ()
    external_name: str = ""
    external_traffic_policy: TrafficPolicy = "Cluster"
    internal_traffic_policy: TrafficPolicy = "Cluster"
    session_affinity: Literal["None", "ClientIP"] = "None"
    session_affinity_timeout_s: Annotated[
        Whole, Field(alias="sessionAffinityTimeoutSeconds", ge=1, le=LONGEST_AFFINITY_S)
    ] = AFFINITY_S
    allocate_load_balancer_node_ports: bool = True
    load_balancer_ip: Annotated[Ip | None, Field(alias="loadBalancerIP")] = None
    load_balancer_ips: Annotated[tuple[Ip, ...], Field(alias="loadBalancerIPs")] = ()
    load_balancer_source_ranges: tuple[Cidr, ...] = ()
    load_balancer_class: str = ""
    health_check_node_port: Annotated[Whole, Field(ge=1, le=MOST_PORT)] | None = None
    publish_not_ready_addresses: bool = False
    traffic_distribution: TrafficDistribution = ""
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def qualified(self) -> str:
        """`web`, or `kube-system.dns` outside `default`."""
        return self.name if self.namespace == "default" else f"{self.namespace}.{self.name}"

    @property
    def headless(self) -> bool:
        """Whether it has no address of its own, only its endpoints'."""
        return self.cluster_ip == NO_CLUSTER_IP

    @property
    def has_cluster_ip(self) -> bool:
        """Whether the API server gives it an address."""
        return self.type != "ExternalName" and not self.headless

    @property
    def externally_accessible(self) -> bool:
        """Whether anybody outside has an address for it."""
        return self.type in ("NodePort", "LoadBalancer") or bool(self.external_ips)

    @property
    def needs_health_check(self) -> bool:
        """Whether its load balancer has to ask each node if it has an endpoint."""
        return self.type == "LoadBalancer" and self.external_traffic_policy == "Local"

    @property
    def follows_hints(self) -> bool:
        """Whether its endpoints' topology hints are kept to."""
        return bool(self.traffic_distribution) or is_automatic(self.annotations)

    def selects(self, pod: Pod) -> bool:
        """Whether a pod is one of its endpoints."""
        labels = pod.selectable
        return (
            pod.namespace == self.namespace
            and bool(self.selector)
            and all(labels.get(key) == value for key, value in self.selector.items())
        )


Services = Annotated[tuple[Service, ...], named()]

# files of Kubernetes manifests, beside the topology; a loaded Lab has their pods and Services
Manifests = tuple[str, ...]
