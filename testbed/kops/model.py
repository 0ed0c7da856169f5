"""What a topology says of a kops cluster with kubenet; ranges are kops' defaults."""

from ipaddress import IPv4Network
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from testbed.description import STRICT, Cidr, Ip, Whole, named
from testbed.kubernetes.endpoint_slices import EndpointSlices
from testbed.kubernetes.kube_proxy import Era, KubeProxy
from testbed.kubernetes.model import Manifests, Node, Pods, Services


@dataclass(frozen=True, config=STRICT)
class KopsNode(Node):
    """A worker node whose pods have a range of their own.

    The route controller switches its source/destination check off.

    pod_cidr: Kubernetes' Node.spec.podCIDR; none lets the cluster choose.
    last_reserved_ip: what host-local gave last; its next pod gets the address after it.
    """

    source_dest_check: bool = False
    pod_cidr: Cidr | None = None
    last_reserved_ip: Ip | None = None


SMALLEST = 30  # prefix length of a range with an address for cbr0 and one for a pod
NodeCidrMaskSize = Annotated[Whole, Field(ge=8, le=SMALLEST)]
HairpinMode = Literal["promiscuous-bridge", "hairpin-veth", "none"]
KopsNodes = Annotated[tuple[KopsNode, ...], named()]


@dataclass(frozen=True, config=STRICT)
class KopsCluster:
    """A kops cluster in one VPC.

    The ranges are kops 1.14's defaults (upup/pkg/fi/cloudup/defaults.go): the upper half of
    non_masquerade_cidr for pods, a /13 at its base for Services.

    cni: kubenet of 2019 with docker, or what kops writes today for containerd.
    node_cidr_mask_size: of each node's part of pod_cidr (kube-controller-manager's flag).
    hairpin_mode: kubelet's --hairpin-mode, of kubenet.  Its own default, which kops leaves, is
    promiscuous-bridge; on kernels since 6.9 a pod then does not reach itself by a Service.
    """

    name: str
    vpc: str
    nodes: KopsNodes
    kind: Literal["kops"]
    pods: Pods = ()
    services: Services = ()
    non_masquerade_cidr: Cidr = IPv4Network("100.64.0.0/10")
    pod_cidr: Cidr = IPv4Network("100.96.0.0/11")
    service_cidr: Cidr = IPv4Network("100.64.0.0/13")
    node_cidr_mask_size: NodeCidrMaskSize = 24
    cni: Literal["kubenet", "ptp"] = "kubenet"
    hairpin_mode: HairpinMode = "hairpin-veth"
    manifests: Manifests = ()
    endpoint_slices: EndpointSlices = ()
    kube_proxy: KubeProxy = KubeProxy()

    @property
    def security_group(self) -> str:
        """The security group that kops gives its nodes."""
        return f"nodes.{self.name}"

    @property
    def cluster_cidr(self) -> IPv4Network | None:
        """The pods' own range."""
        return self.pod_cidr

    @property
    def proxy(self) -> KubeProxy:
        """kube-proxy's flags: kops gives it the pods' range."""
        era: Era = "1.14" if self.cni == "kubenet" else "current"
        return self.kube_proxy.within(era, self.pod_cidr)
