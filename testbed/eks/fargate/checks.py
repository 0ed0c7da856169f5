"""What EKS would refuse of Fargate profiles and their pods; paths start at the cluster.

Numbers: EKS User Guide, "View and manage Amazon EKS and Fargate service quotas".
"""

from testbed.description import duplicates
from testbed.description.problem import Problem, Problems, names, quoted, unknown
from testbed.eks.control_plane import KUBELET
from testbed.eks.fargate.profiles import on_fargate, profile_subnets
from testbed.eks.model import EksCluster, FargateProfile
from testbed.kubernetes.model import Pod
from testbed.vpc.model import Vpc

MOST_PROFILES = 10  # of a cluster
MOST_SELECTORS = 5  # of a profile
MOST_LABELS = 5  # of a selector
RESERVED = "eks-"  # how names of EKS' own begin
INVALID = "InvalidParameterException"


def problems(cluster: EksCluster, vpc: Vpc) -> Problems:
    """Everything wrong with the profiles of a cluster, and with the pods they select."""
    if len(cluster.fargate_profiles) > MOST_PROFILES:
        message = f"a cluster has at most {MOST_PROFILES} Fargate profiles"
        yield Problem(("fargateProfiles",), message, "ResourceLimitExceededException")
    for twice in duplicates(profile.name for profile in cluster.fargate_profiles):
        message = f"there are two Fargate profiles {quoted(twice)}"
        yield Problem(("fargateProfiles", twice), message, "ResourceInUseException")
    for profile in cluster.fargate_profiles:
        found = (*_name(profile), *_selectors(profile), *_subnets(profile, cluster, vpc))
        for problem in found:
            yield problem.under("fargateProfiles", profile.name)
    yield from _pods(cluster)


def _name(profile: FargateProfile) -> Problems:
    yield from names((), profile.name)
    if profile.name.startswith(RESERVED):  # eksctl checks it before it asks the API
        yield Problem((), f"a profile's name does not start with {quoted(RESERVED)}", INVALID)


def _selectors(profile: FargateProfile) -> Problems:
    count = len(profile.selectors)
    if not 1 <= count <= MOST_SELECTORS:
        message = f"a Fargate profile has 1 to {MOST_SELECTORS} selectors, not {count}"
        yield Problem(("selectors",), message, INVALID)
    for i, selector in enumerate(profile.selectors):
        if not selector.namespace:
            yield Problem(("selectors", i, "namespace"), "a selector has a namespace", INVALID)
        if len(selector.labels) > MOST_LABELS:
            message = f"a selector has at most {MOST_LABELS} labels, not {len(selector.labels)}"
            yield Problem(("selectors", i, "labels"), message, INVALID)


def _subnets(profile: FargateProfile, cluster: EksCluster, vpc: Vpc) -> Problems:
    known = {subnet.name: subnet for subnet in vpc.subnets}
    for i, name in enumerate(profile.subnets):
        if name not in known:
            yield Problem(("subnets", i), unknown("subnet", name, known), INVALID)
        elif vpc.is_public(known[name]):
            # the API's own words: awslabs/eks-perf-tests #195
            message = (
                f"Subnet {name} provided in Fargate Profile is not a private subnet: its route"
                f" table {quoted(known[name].route_table)} leads to the internet gateway"
            )
            yield Problem(("subnets", i), message, INVALID)
    for twice in duplicates(profile.subnets):
        yield Problem(("subnets",), f"the subnet {quoted(twice)} is there twice", INVALID)
    if not profile.subnets and not profile_subnets(profile, cluster, vpc):
        message = "the cluster has no private subnet, and Fargate takes no other"
        yield Problem((), message, INVALID)


def _pods(cluster: EksCluster) -> Problems:
    profiles = on_fargate(cluster)
    for pod in cluster.pods:
        if pod.netns in profiles:
            for problem in _pod(pod, quoted(profiles[pod.netns].name)):
                yield problem.under("pods", pod.netns)


def _pod(pod: Pod, profile: str) -> Problems:
    """What cannot be of a pod that a profile selects: it has one ENI, and kubelet beside it."""
    if pod.eni is not None:
        message = f"the Fargate profile {profile} selects the pod, which then has one ENI"
        yield Problem(("eni",), message)
    for container in pod.containers:
        for i, port in enumerate(container.ports):
            if port.number == KUBELET and port.protocol != "udp":
                # cert-manager, "Installation, compatibility, AWS Fargate": its webhook's own port
                message = (
                    f"listen tcp :{KUBELET}: bind: address already in use: the Fargate profile"
                    f" {profile} selects the pod, and kubelet shares its network there"
                )
                yield Problem(("containers", container.name, "ports", i), message)
