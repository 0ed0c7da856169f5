"""The CNI's configuration file `/etc/cni/net.d/10-aws.conflist`, as aws-node writes it."""

from collections.abc import Iterator
from typing import Any

from testbed.eks.environment import CniSettings
from testbed.eks.model import EksCluster
from testbed.eks.profiles import ERAS

PATH = "/etc/cni/net.d/10-aws.conflist"

NETWORK = "aws-cni"  # the configuration's name, by which plugins tell their own from others

PORTMAP = {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True}
BANDWIDTH = {"type": "bandwidth", "capabilities": {"bandwidth": True}}
NO_IPV6 = {f"net.ipv6.conf.{of}.disable_ipv6": "1" for of in ("all", "default", "lo")}
TUNING = {"type": "tuning", "sysctl": NO_IPV6}


def conflist(cluster: EksCluster) -> dict[str, Any]:
    """What the container runtime reads.  The real file ends the wait of a node for its CNI.

    Source: amazon-vpc-cni-k8s, misc/10-aws.conflist, scripts/install-aws.sh (v1.5),
    cmd/aws-vpc-cni/main.go (v1.23); IPv4.
    """
    if not ERAS[cluster.profile].plugin_settings:
        plugin = {"name": "aws-cni", "type": "aws-cni", "vethPrefix": cluster.env.veth_prefix}
        return {"cniVersion": "0.3.1", "name": NETWORK, "plugins": [plugin, PORTMAP]}
    return {
        "cniVersion": "0.4.0",
        "name": NETWORK,
        "disableCheck": True,
        "plugins": [_aws_cni(cluster.env), _egress_cni(cluster.env), *_chained(cluster.env)],
    }


def _chained(env: CniSettings) -> Iterator[dict[str, Any]]:
    """The plugins of others, in the order in which they run."""
    yield PORTMAP
    if env.bandwidth_plugin:
        yield BANDWIDTH
    if env.disable_pod_v6:
        yield TUNING


def pod_mtu(env: CniSettings) -> int:
    """POD_MTU, else AWS_VPC_ENI_MTU; in bytes."""
    return env.pod_mtu or env.eni_mtu


def _aws_cni(env: CniSettings) -> dict[str, Any]:
    return {
        "name": "aws-cni",
        "type": "aws-cni",
        "vethPrefix": env.veth_prefix,
        "mtu": str(pod_mtu(env)),
        "podSGEnforcingMode": env.pod_security_group_mode,
        "pluginLogFile": env.plugin_log_file,
        "pluginLogLevel": env.plugin_log_level,
        "capabilities": {"io.kubernetes.cri.pod-annotations": True},
    }


def _egress_cni(env: CniSettings) -> dict[str, Any]:
    """IPv6 for pods of an IPv4 cluster: not enabled, so it does nothing."""
    return {
        "name": "egress-cni",
        "type": "egress-cni",
        "mtu": str(pod_mtu(env)),
        "enabled": "false",
        "randomizeSNAT": env.randomize_snat or "prng",
        "nodeIP": "",
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": "fd00::ac:00/118"}]],
            "routes": [{"dst": "::/0"}],
            "dataDir": "/run/cni/v4pd/egress-v6-ipam",
        },
        "pluginLogFile": env.egress_v6_log_file,
        "pluginLogLevel": env.plugin_log_level,
    }
