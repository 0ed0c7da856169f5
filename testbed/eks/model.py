"""What a topology says of an EKS cluster."""

from collections.abc import Mapping
from dataclasses import field
from ipaddress import IPv4Network
from typing import Annotated, Literal

from pydantic.dataclasses import dataclass

from testbed.description import STRICT, Cidr, RefusedWith, named
from testbed.eks.environment import CniSettings
from testbed.kubernetes.endpoint_slices import EndpointSlices
from testbed.kubernetes.eni_config import EniConfig as EniConfig
from testbed.kubernetes.kube_proxy import KubeProxy
from testbed.kubernetes.model import Manifests, Nodes, Pods, Services
from testbed.net.facts import ANYWHERE

REFUSED = RefusedWith("InvalidParameterException")

Profile = Literal["current", "slides"]
ConnmarkBackend = Literal["iptables", "nftables"]


@dataclass(frozen=True, config=STRICT)
class ControlPlane:
    """AWS's side of a cluster: API servers in a VPC of AWS's, with network interfaces in ours.

    endpoint_private_access: the API's name leads to those interfaces inside the VPC.
    public_access_cidrs: who may call the public endpoint; none for everybody.
    security_groups: of those interfaces, besides the cluster's own.
    """

    endpoint_public_access: bool = True
    endpoint_private_access: bool = False
    public_access_cidrs: Annotated[tuple[Cidr, ...], REFUSED] = (ANYWHERE,)
    security_groups: tuple[str, ...] = ()


@dataclass(frozen=True, config=STRICT)
class FargateSelector:
    """Pods of a namespace that have all these labels; both may hold `*` and `?`."""

    namespace: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, config=STRICT)
class FargateProfile:
    """Which pods run on Fargate: those that one of the selectors fits and that name no node.

    subnets: private ones, where the pods' network interfaces are; none for all the private ones
    of the cluster.
    """

    name: str
    selectors: tuple[FargateSelector, ...]
    subnets: tuple[str, ...] = ()


@dataclass(frozen=True, config=STRICT)
class EksCluster:
    """An EKS cluster in one VPC.  profile: the CNI's era, `slides` is v1.5, `current` v1.23.

    subnets: where EKS puts its own network interfaces; none for all of the VPC's.
    control_plane: none leaves it out of the lab.
    connmark_backend: who marks what nodes will translate; the real CNI takes nftables where its
    iptables is not the legacy one.
    service_cidr: none leaves it to EKS, `networking.service_cidr`.
    """

    name: str
    vpc: str
    nodes: Nodes
    pods: Pods = ()
    kind: Literal["eks"] = "eks"
    subnets: tuple[str, ...] = ()
    control_plane: ControlPlane | None = None
    profile: Profile = "current"
    connmark_backend: ConnmarkBackend = "iptables"
    env: CniSettings = CniSettings()
    eni_configs: Annotated[tuple[EniConfig, ...], named()] = ()
    fargate_profiles: Annotated[tuple[FargateProfile, ...], named()] = ()
    services: Services = ()
    service_cidr: Cidr | None = None
    manifests: Manifests = ()
    endpoint_slices: EndpointSlices = ()
    kube_proxy: KubeProxy = KubeProxy()

    @property
    def security_group(self) -> str:
        """The cluster security group; AWS adds a number to this name."""
        return f"eks-cluster-sg-{self.name}"

    @property
    def cluster_cidr(self) -> IPv4Network | None:
        """The pods' own range: none, for pods have the VPC's addresses."""
        return None

    @property
    def proxy(self) -> KubeProxy:
        """kube-proxy's flags: EKS runs it without --cluster-cidr."""
        return self.kube_proxy.within("1.14" if self.profile == "slides" else "current", None)
