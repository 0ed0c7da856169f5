"""Pods on Fargate come to their network interfaces, one each."""

from collections.abc import Iterable, Iterator

from testbed.eks.fargate.profiles import on_fargate, profile_subnets
from testbed.eks.model import EksCluster, FargateProfile
from testbed.errors import AwsError
from testbed.kubernetes.model import Pod
from testbed.kubernetes.placement import Pending, PodAddress
from testbed.vpc.ec2 import Ec2
from testbed.vpc.eni import Eni, InterfaceSpecification
from testbed.vpc.model import Vpc

# fargate-scheduler's words, in the pod's event FailedScheduling
NOT_SUPPORTED = "Pod not supported on Fargate: fields not supported: "
HOST_NETWORK = "HostNetwork"
HOST_PORT = "port contains HostIP or HostPort"  # Kubernetes writes a hostNetwork pod's ports there


def allocate_pods(
    cluster: EksCluster, vpc: Vpc, ec2: Ec2
) -> tuple[dict[str, PodAddress], dict[str, Pending]]:
    """The cluster's pods on Fargate by name, those that run and those that wait.

    A pod that has its network interface from an earlier run keeps it.
    """
    running: dict[str, PodAddress] = {}
    pending: dict[str, Pending] = {}
    profiles = on_fargate(cluster)
    for pod in cluster.pods:
        if pod.netns not in profiles:
            continue
        try:
            eni = _eni(pod, profiles[pod.netns], cluster, vpc, ec2)
        except AwsError as error:
            pending[pod.netns] = Pending(pod.netns, cluster.name, error.message)
            continue
        if eni is None:
            reason = NOT_SUPPORTED + ", ".join(_not_supported(pod))
            pending[pod.netns] = Pending(pod.netns, cluster.name, reason)
        else:
            running[pod.netns] = PodAddress(pod.netns, cluster.name, pod.netns, 0, eni.primary)
    return running, pending


def _eni(pod: Pod, profile: FargateProfile, cluster: EksCluster, vpc: Vpc, ec2: Ec2) -> Eni | None:
    """A pod's network interface; None for a pod that Fargate does not take.

    Which of a profile's subnets a pod gets AWS does not say; here it is the emptiest, the first
    of equals.  Raises AwsError when all are full.
    """
    if _not_supported(pod):
        return None
    for attached in ec2.attached(pod.netns):
        return attached
    subnets = profile_subnets(profile, cluster, vpc)
    emptiest = max(subnets, key=lambda subnet: ec2.free_addresses(vpc.name, subnet.name))
    return ec2.create_network_interface(interface(pod.netns, vpc.name, emptiest.name))


def interface(pod: str, vpc: str, subnet: str) -> InterfaceSpecification:
    """A pod's only network interface."""
    return InterfaceSpecification(vpc=vpc, subnet=subnet, instance=pod, device_index=0)


def kept_interfaces(
    cluster: EksCluster, vpc: Vpc, enis: Iterable[Eni]
) -> Iterator[InterfaceSpecification]:
    """The interfaces of an earlier run that pods keep: their subnets are still the profiles'."""
    pods = {pod.netns: pod for pod in cluster.pods if not _not_supported(pod)}
    homes = {
        name: {subnet.name for subnet in profile_subnets(profile, cluster, vpc)}
        for name, profile in on_fargate(cluster).items()
        if name in pods
    }
    for eni in enis:
        if eni.vpc == vpc.name and eni.subnet in homes.get(eni.instance, ()):
            yield interface(eni.instance, vpc.name, eni.subnet)


def _not_supported(pod: Pod) -> list[str]:
    """The fields of a pod that Fargate does not take."""
    network = [HOST_NETWORK] if pod.host_network else []
    ports = pod.served if pod.host_network else pod.host_ports
    return [*network, *([HOST_PORT] if ports else [])]
