"""What kubelet and the plugins draw at random; here names stand for the pod."""

from testbed.kubernetes.model import Pod
from testbed.net import names

HASH_LENGTH = 8  # hexadecimal digits behind `veth`: containernetworking/plugins, RandomVethName


def veth_name(pod: Pod) -> str:
    """The pod's link in its node."""
    return "veth" + names.digest("veth", pod.namespace, pod.name, length=HASH_LENGTH)
