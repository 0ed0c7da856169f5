"""What ipamD goes by on one node: its environment and the limits of the instance type."""

from dataclasses import dataclass

from testbed.eks.limits import delegates_prefixes, kubelet_max_pods, most_enis
from testbed.eks.model import EksCluster
from testbed.eks.profiles import ERAS, Era
from testbed.kubernetes.model import Node
from testbed.vpc.instance_types import limits
from testbed.vpc.prefixes import PREFIX_SIZE

COOLDOWN_S = (
    30.0  # amazon-vpc-cni-k8s v1.5: addressCoolingPeriod; since v1.15 IP_COOLDOWN_PERIOD's default
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What ipamD goes by on one node.

    slots_per_eni: secondary addresses of an ENI, so one less than EC2's limit; in each may be a
    prefix instead.  cooldown_s: how long nobody gets an address that a pod gave back.
    provisions: the pool loop runs; else ipamD makes do with what the instance has.
    """

    era: Era
    warm_eni_target: int
    warm_ip_target: int
    minimum_ip_target: int
    max_enis: int
    slots_per_eni: int
    max_pods: int
    warm_prefix_target: int = 0
    prefix_delegation: bool = False
    custom_networking: bool = False
    subnet_discovery: bool = True
    manages_cordoned: bool = False
    provisions: bool = True
    cooldown_s: float = COOLDOWN_S

    @property
    def targets_defined(self) -> bool:
        """Whether addresses are counted, not whole ENIs."""
        return bool(self.warm_ip_target or self.minimum_ip_target)

    @property
    def addresses_per_eni(self) -> int:
        """How many pods' addresses an ENI can have."""
        return self.slots_per_eni * (PREFIX_SIZE if self.prefix_delegation else 1)


def settings(cluster: EksCluster, node: Node) -> Settings:
    """The cluster's environment of ipamD, resolved for one node.

    A release ignores what it does not know.
    """
    env, era, allowed = cluster.env, ERAS[cluster.profile], limits(node.instance_type)
    return Settings(
        era=era,
        warm_eni_target=env.warm_eni_target,
        warm_ip_target=env.warm_ip_target,
        minimum_ip_target=env.minimum_ip_target if era.minimum_ip_target else 0,
        warm_prefix_target=env.warm_prefix_target,
        max_enis=most_enis(cluster, node),
        slots_per_eni=allowed.ipv4_per_eni - 1,
        max_pods=kubelet_max_pods(cluster, node),
        prefix_delegation=delegates_prefixes(cluster, node),
        custom_networking=env.custom_networking,
        subnet_discovery=era.discovers_subnets and env.subnet_discovery,
        manages_cordoned=env.manage_cordoned,
        provisions=not (era.imds_only and (env.disable_provisioning or env.imds_only)),
        cooldown_s=env.ip_cooldown_period if era.cooldown_setting else COOLDOWN_S,
    )
