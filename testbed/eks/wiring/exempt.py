"""The destinations that see a pod's own address although its node translates."""

from ipaddress import IPv4Network

from testbed.eks.environment import CniSettings
from testbed.vpc.model import Vpc


def exempt_cidrs(env: CniSettings, vpc: Vpc) -> tuple[IPv4Network, ...]:
    """The VPC's ranges, then the excluded ones."""
    return (*vpc.cidrs, *excluded_cidrs(env))


def excluded_cidrs(env: CniSettings) -> tuple[IPv4Network, ...]:
    """AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS, which means nothing with external SNAT."""
    return () if env.external_snat else env.exclude_snat_cidrs
