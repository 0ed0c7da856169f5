"""How the container runtime and the CNI call a pod's sandbox."""

from testbed.eks.ipamd.datastore.checkpoint import LINK, NETWORK
from testbed.kubernetes.model import Pod


def key(pod: Pod) -> str:
    """ipamD's key of it: `aws-cni/5b2e…/eth0`."""
    return f"{NETWORK}/{pod.sandbox}/{LINK}"


def netns(pod: Pod) -> str:
    """CNI_NETNS: the path of its network namespace, in a lab the pod's name."""
    return f"/run/netns/{pod.netns}"


def arguments(pod: Pod) -> str:
    """CNI_ARGS."""
    names = f"K8S_POD_NAMESPACE={pod.namespace};K8S_POD_NAME={pod.name}"
    return f"IgnoreUnknown=1;{names};K8S_POD_INFRA_CONTAINER_ID={pod.sandbox}"
