"""What we render is what a node prints after the CNI's own calls, made one by one with `ip`,
`iptables` and `nft` in upstream's order and spelling.

Source: amazon-vpc-cni-k8s v1.5.7 and v1.23.1, pkg/networkutils and the plugin's driver.
"""

import os
import shlex
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Network

import pytest

from testbed.eks.model import ConnmarkBackend, Profile
from testbed.eks.render import Rendered, example, render
from testbed.eks.rollout import with_settings
from testbed.kernel.namespaces.enter import new_netns
from testbed.kernel.namespaces.store import LocalStore
from testbed.kernel.programs.run import run
from testbed.net.netfilter.iptables import parse_save
from testbed.net.netfilter.nft import parse_list
from testbed.probes.sockets import inside
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.kernel

# DHCP and the distribution
AMI = """
ip link set lo up
ip link add eth0 type veth peer name wire0
ip link add eth1 type veth peer name wire1
ip link set wire0 up
ip link set wire1 up
ip link set eth0 up
ip address add 10.10.0.10/19 dev eth0
ip route add default via 10.10.0.1 dev eth0
ip route add 169.254.169.254 dev eth0 scope global
"""

# SetupENINetwork for eth1
ENI = """
ip link set eth1 mtu 9001 up
ip address flush dev eth1 scope global
ip address add 10.10.0.20/19 dev eth1
ip route replace 10.10.0.1/32 dev eth1 scope link table 2
ip route replace default via 10.10.0.1 dev eth1 table 2
ip route del 10.10.0.0/19 dev eth1 src 10.10.0.20 scope link
"""

# SetupHostNetwork: rule 1024, then iptables.  Two ranges of the VPC, one exclusion
HOST_V1_6 = """
ip rule add pref 1024 fwmark 0x80/0x80 lookup main
iptables -t nat -N AWS-SNAT-CHAIN-0
iptables -t nat -N AWS-SNAT-CHAIN-1
iptables -t nat -N AWS-SNAT-CHAIN-2
iptables -t nat -N AWS-SNAT-CHAIN-3
iptables -t nat -A POSTROUTING -m comment --comment "AWS SNAT CHAIN" -j AWS-SNAT-CHAIN-0
iptables -t nat -A AWS-SNAT-CHAIN-0 ! -d 10.10.0.0/16 -m comment --comment "AWS SNAT CHAIN" \
 -j AWS-SNAT-CHAIN-1
iptables -t nat -A AWS-SNAT-CHAIN-1 ! -d 100.64.0.0/16 -m comment --comment "AWS SNAT CHAIN" \
 -j AWS-SNAT-CHAIN-2
iptables -t nat -A AWS-SNAT-CHAIN-2 ! -d 192.168.0.0/16 -m comment \
 --comment "AWS SNAT CHAIN EXCLUSION" -j AWS-SNAT-CHAIN-3
iptables -t nat -A AWS-SNAT-CHAIN-3 -m comment --comment "AWS, SNAT" -m addrtype \
 ! --dst-type LOCAL -j SNAT --to-source 10.10.0.10 --random
iptables -t mangle -A PREROUTING -m comment --comment "AWS, primary ENI" -i eth0 -m addrtype \
 --dst-type LOCAL --limit-iface-in -j CONNMARK --set-mark 0x80/0x80
iptables -t mangle -A PREROUTING -m comment --comment "AWS, primary ENI" -i eni+ \
 -j CONNMARK --restore-mark --mask 0x80
"""
SNAT = """
ip rule add pref 1024 fwmark 0x80/0x80 lookup main
iptables -t nat -N AWS-SNAT-CHAIN-0
iptables -t nat -A POSTROUTING -m comment --comment "AWS SNAT CHAIN" -j AWS-SNAT-CHAIN-0
iptables -t nat -I AWS-SNAT-CHAIN-0 1 -d 10.10.0.0/16 -m comment --comment "AWS SNAT CHAIN" \
 -j RETURN
iptables -t nat -I AWS-SNAT-CHAIN-0 1 -d 100.64.0.0/16 -m comment --comment "AWS SNAT CHAIN" \
 -j RETURN
iptables -t nat -I AWS-SNAT-CHAIN-0 1 -d 192.168.0.0/16 -m comment \
 --comment "AWS SNAT CHAIN EXCLUSION" -j RETURN
iptables -t nat -A AWS-SNAT-CHAIN-0 ! -o vlan+ -m comment --comment "AWS, SNAT" -m addrtype \
 ! --dst-type LOCAL -j SNAT --to-source 10.10.0.10 --random-fully
iptables -t mangle -A PREROUTING -m comment --comment "AWS, primary ENI" -i eth0 -m addrtype \
 --dst-type LOCAL --limit-iface-in -j CONNMARK --set-mark 0x80/0x80
iptables -t mangle -A PREROUTING -m comment --comment "AWS, primary ENI" -i eni+ \
 -j CONNMARK --restore-mark --mask 0x80
iptables -t mangle -A PREROUTING -m comment --comment "AWS, primary ENI" -i vlan+ \
 -j CONNMARK --restore-mark --mask 0x80
ip rule add pref 1535 to 198.51.100.0/24 lookup main
ip rule add pref 32765 from 10.10.0.20/32 lookup 2
"""
CONNMARK = """
iptables -t nat -N AWS-CONNMARK-CHAIN-0
iptables -t nat -A PREROUTING -i eni+ -m comment --comment "AWS, outbound connections" \
 -j AWS-CONNMARK-CHAIN-0
iptables -t nat -I AWS-CONNMARK-CHAIN-0 1 -d 10.10.0.0/16 -m comment \
 --comment "AWS CONNMARK CHAIN" -j RETURN
iptables -t nat -I AWS-CONNMARK-CHAIN-0 1 -d 100.64.0.0/16 -m comment \
 --comment "AWS CONNMARK CHAIN" -j RETURN
iptables -t nat -I AWS-CONNMARK-CHAIN-0 1 -d 192.168.0.0/16 -m comment \
 --comment "AWS CONNMARK CHAIN" -j RETURN
iptables -t nat -A PREROUTING -m comment --comment "AWS, CONNMARK" -j CONNMARK \
 --restore-mark --mask 0x80
iptables -t nat -A AWS-CONNMARK-CHAIN-0 -m comment --comment "AWS, CONNMARK" -j CONNMARK \
 --set-xmark 0x80/0x80
"""
NFT_CONNMARK = """
nft add table ip aws-cni
nft add chain ip aws-cni nat-prerouting "{ type nat hook prerouting priority -90; policy accept; }"
nft add chain ip aws-cni snat-mark
nft insert rule ip aws-cni nat-prerouting fib daddr type local return
nft add rule ip aws-cni nat-prerouting iifname '"eni*"' counter jump snat-mark
nft add rule ip aws-cni nat-prerouting counter meta mark set ct mark "&" 0x80
nft insert rule ip aws-cni snat-mark counter ip daddr 10.10.0.0/16 return
nft insert rule ip aws-cni snat-mark counter ip daddr 100.64.0.0/16 return
nft insert rule ip aws-cni snat-mark counter ip daddr 192.168.0.0/16 return
nft add rule ip aws-cni snat-mark counter ct mark set ct mark "|" 0x80
"""

# ADD: the pod's side, then the node's
IN_POD = """
ip link set eth0 up
ip route replace 169.254.1.1/32 dev eth0 scope link
ip route add default via 169.254.1.1 dev eth0
ip address add {ip}/32 dev eth0
ip neighbour add 169.254.1.1 lladdr {mac} nud permanent dev eth0
"""
ON_NODE = """
ip link set {veth} up
ip route replace {ip}/32 dev {veth} scope link
ip rule add pref 512 to {ip}/32 lookup main
"""
MAC = "02:00:00:00:00:01"
PODS = {"pod-1": ("eni83dbd022cd5", "10.10.0.101"), "pod-2": ("enifbd243bfedd", "10.10.0.102")}

SETTINGS = {
    "AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS": "192.168.0.0/16",
    "AWS_EXTERNAL_SERVICE_CIDRS": "198.51.100.0/24",
}
RANGES = tuple(map(IPv4Network, ("10.10.0.0/16", "100.64.0.0/16")))


class Node:
    """The namespaces of a node and two pods, and programs in them."""

    def __init__(self, store: LocalStore) -> None:
        self.store = store
        for name in ("node-1", *PODS):
            namespace = new_netns()
            store.keep({name: namespace})
            os.close(namespace)

    def does(self, place: str, script: str) -> None:
        for line in filter(None, script.splitlines()):
            self.prints(place, line)

    def prints(self, place: str, line: str) -> list[str]:
        argv = shlex.split(line)
        argv[0] = argv[0].replace("iptables", "iptables-nft")
        with inside(self.store, place):
            done = run(argv, timeout_s=PATIENCE_S)
        assert done.returncode == 0, (line, done.stderr)
        return done.stdout.splitlines()

    def add(self, pod: str, *rules: str) -> None:
        """The plugin's ADD; rules: those of a pod that is not of eth0."""
        veth, ip = PODS[pod]
        inner = self.store.open(pod)
        link = f"ip link add {veth} address {MAC} type veth peer name eth0"
        self.does("node-1", f"{link} netns /proc/{os.getpid()}/fd/{inner}")
        os.close(inner)
        self.does(pod, IN_POD.format(ip=ip, mac=MAC))
        self.does("node-1", ON_NODE.format(veth=veth, ip=ip))
        self.does(
            "node-1", "".join(f"ip rule add pref 1536 from {ip}/32 {rule}\n" for rule in rules)
        )


@pytest.fixture
def node() -> Iterator[Node]:
    """A machine as DHCP leaves it, eth1 set up."""
    with LocalStore() as store:
        made = Node(store)
        made.does("node-1", AMI + ENI)
        yield made


def rendered(profile: Profile, backend: ConnmarkBackend, pod: str) -> Rendered:
    wired = example(profile)
    cluster = with_settings(wired.cluster, overrides=SETTINGS, connmark_backend=backend)
    return render(replace(wired, cluster=cluster, vpc=replace(wired.vpc, cidrs=RANGES)), pod)


def is_rendered(node: Node, profile: Profile, backend: ConnmarkBackend = "iptables") -> None:
    """What `ip` and `iptables-save` print is what we render, line by line."""
    for pod in PODS:
        wanted = rendered(profile, backend, pod)
        assert wanted.pod is not None
        assert printed(node, pod, "ip route") == list(wanted.pod.routes)
        neighbours = printed(node, pod, "ip neighbour show nud permanent")
        assert [line.split(" lladdr")[0] for line in neighbours] == [
            line.split(" lladdr")[0] for line in wanted.pod.neighbours
        ]
    assert printed(node, "node-1", "ip rule") == [rule.replace("\t", " ") for rule in wanted.rules]
    for table, routes in wanted.tables.items():
        assert printed(node, "node-1", f"ip route show table {table}") == list(routes)
    saved = "\n".join(node.prints("node-1", "iptables-save"))
    assert parse_save("node-1", saved) == parse_save("node-1", wanted.iptables)


def printed(node: Node, place: str, line: str) -> list[str]:
    return [" ".join(text.split()) for text in node.prints(place, line)]


def test_v1_6_with_an_exclusion(node: Node) -> None:
    """v1.5 but for a comment's spelling, with a rule 1536 for each range."""
    node.does("node-1", HOST_V1_6)
    node.add("pod-1")
    ranges = [*map(str, RANGES), SETTINGS["AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS"]]
    node.add("pod-2", *(f"to {cidr} lookup 2" for cidr in ranges))

    is_rendered(node, "slides")


def test_v1_23_with_iptables(node: Node) -> None:
    node.does("node-1", SNAT + CONNMARK)
    node.add("pod-1")
    node.add("pod-2", "lookup 2")

    is_rendered(node, "current")


def test_v1_23_with_nftables(node: Node) -> None:
    node.does("node-1", SNAT + NFT_CONNMARK)
    node.add("pod-1")
    node.add("pod-2", "lookup 2")

    is_rendered(node, "current", "nftables")
    listed = "\n".join(node.prints("node-1", "nft -s list table ip aws-cni"))
    wanted = rendered("current", "nftables", "pod-1").nftables
    assert parse_list("node-1", listed) == parse_list("node-1", wanted)
