"""Which pods run on Fargate, and in which subnets.

EKS User Guide, "Define which Pods use AWS Fargate when launched".
"""

from collections.abc import Mapping
from fnmatch import fnmatchcase

from testbed.eks.model import EksCluster, FargateProfile, FargateSelector
from testbed.eks.networking import cluster_subnets
from testbed.kubernetes.model import Pod
from testbed.vpc.model import Subnet, Vpc

CHOSEN = "eks.amazonaws.com/fargate-profile"  # a pod's label: of several profiles that one


def on_fargate(cluster: EksCluster) -> Mapping[str, FargateProfile]:
    """The profile of each pod that runs on Fargate, by the pod's name, in the topology's order."""
    found = {pod.netns: profile_of(cluster, pod) for pod in cluster.pods}
    return {name: profile for name, profile in found.items() if profile}


def profile_of(cluster: EksCluster, pod: Pod) -> FargateProfile | None:
    """The profile that selects a pod; None for a pod of the nodes.

    Of several EKS takes any, the lab the first by name.  A pod that names its node is bound there
    already: no scheduler is asked, Fargate's neither.
    """
    if pod.node:
        return None
    wanted = (pod.labels or {}).get(CHOSEN)
    fitting = [
        profile
        for profile in cluster.fargate_profiles
        if wanted in (None, profile.name) and any(_selects(one, pod) for one in profile.selectors)
    ]
    return min(fitting, key=lambda profile: profile.name, default=None)


def _selects(selector: FargateSelector, pod: Pod) -> bool:
    """Namespace and values may hold `*` and `?`; a pod needs all labels of a selector."""
    labels = pod.selectable
    return _matches(selector.namespace, pod.namespace) and all(
        key in labels and _matches(value, labels[key]) for key, value in selector.labels.items()
    )


def _matches(pattern: str, text: str) -> bool:
    """fnmatch's brackets are no wildcards here."""
    return fnmatchcase(text, pattern.replace("[", "[[]"))


def profile_subnets(profile: FargateProfile, cluster: EksCluster, vpc: Vpc) -> tuple[Subnet, ...]:
    """Where its pods' network interfaces are; where it names none, the cluster's private ones."""
    if profile.subnets:
        return tuple(subnet for subnet in vpc.subnets if subnet.name in profile.subnets)
    return tuple(one for one in cluster_subnets(cluster, vpc) if not vpc.is_public(one))
