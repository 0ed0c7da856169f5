"""What labs ask of a kernel, each as something that can be tried in an empty network namespace."""

import os
from pathlib import Path

from testbed.errors import KernelError
from testbed.kernel.machine import mounts
from testbed.kernel.machine.mounts import NAMES
from testbed.kernel.machine.trying import Feature, commands, iptables, nft, succeed


def _names() -> None:
    """The holder's names: symlinks on a tmpfs of the lab's own."""
    mounts.mount("tmpfs", str(NAMES), "tmpfs")
    own = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    Path(NAMES, "a").symlink_to(f"/proc/{os.getpid()}/fd/{own}")
    try:
        succeed(["ip", "netns", "exec", "a", "ip", "link"], "")
    finally:
        os.close(own)
        mounts.detach(str(NAMES))


def _tracefs() -> None:
    if "tracefs" not in Path("/proc/filesystems").read_text(encoding="ascii").split():
        raise KernelError("this kernel has no tracefs")  # mounting would look for a module
    mounts.mount("tracefs", str(NAMES), "tracefs")
    try:
        Path(NAMES, "events/fib/enable").read_text(encoding="ascii")
    finally:
        mounts.detach(str(NAMES))


def _br_netfilter() -> None:
    Path("/proc/sys/net/bridge/bridge-nf-call-iptables").read_text(encoding="ascii")


COMPAT = ("nf_tables", "x_tables", "nft_compat")
NAT = (*COMPAT, "nft_chain_nat", "nf_nat", "nf_conntrack")
FABRIC = """
add table bridge t
add set bridge t ports { typeof iifname . ether saddr . ip saddr; }
add map bridge t macs { type ipv4_addr : ether_addr; }
add chain bridge t c { type filter hook prerouting priority dstnat; policy drop; }
add element bridge t ports { "a" . 02:00:00:00:00:01 . 10.0.0.1 }
add rule bridge t c iifname . ether saddr . ip saddr @ports meta pkttype set host accept
add rule bridge t c ether saddr set ip saddr map @macs
add rule bridge t c @nh,184,40 set @nh,144,40 arp saddr ip set arp daddr ip arp operation set reply
add set bridge t rates { type ifname; flags dynamic; }
add rule bridge t c update @rates { iifname limit rate over 9/second } drop
"""
TRANSLATION = """
add table ip t
add map ip t out { type ipv4_addr : ipv4_addr; }
add set ip t vpc { type ipv4_addr; flags interval; }
add element ip t vpc { 10.0.0.0/16 }
add chain ip t c { type nat hook postrouting priority srcnat; }
add rule ip t c ct state new ip saddr @vpc snat to ip saddr map @out
add chain ip t f { type filter hook forward priority filter; }
add rule ip t f ip frag-off & 16383 != 0 drop
add rule ip t f tcp option maxseg size set rt mtu
add rule ip t f ct state invalid ip saddr set ip saddr map @out
add rule ip t f meta l4proto tcp reject with tcp reset
"""

NEEDED = (
    Feature("names", "pods and nodes by name: a tmpfs on /run/netns", _names, needed=True),
    Feature(
        "veth",
        "every link",
        commands("ip link add veth0 type veth peer name veth1"),
        ("veth",),
        needed=True,
    ),
    Feature(
        "bridge",
        "subnets: ports that learn nothing and send answers back where they came from",
        commands(
            "ip link add br0 type bridge",
            "ip link add veth0 type veth peer name veth1",
            "ip link set veth0 master br0",
            "ip link set veth0 type bridge_slave hairpin on learning off flood off",
        ),
        ("bridge", "veth"),
        needed=True,
    ),
    Feature(
        "ip rule",
        "policy routing: a pod's address chooses its ENI",
        commands(
            "ip rule add from 10.0.0.1 lookup 2 priority 1536",
            "ip rule add fwmark 0x80/0x80 lookup main priority 1024",
            "ip route add throw 10.0.0.0/8 table 2",
        ),
        needed=True,
    ),
    Feature(
        "nft bridge",
        "the checks on each ENI: concatenated sets and maps",
        nft(FABRIC),
        ("nf_tables", "nft_limit"),
        needed=True,
    ),
    Feature(
        "nft nat",
        "internet and NAT gateways",
        nft(TRANSLATION),
        (
            *("nf_tables", "nft_chain_nat", "nft_nat", "nft_ct", "nf_nat", "nf_conntrack"),
            *("nft_reject", "nft_reject_ipv4"),
        ),
        needed=True,
    ),
)

# Every match and target of the CNI's, kube-proxy's and the fabric's rules, one rule each.
RULES: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("comment", "nat", "-A OUTPUT -m comment --comment aws", (*NAT, "xt_comment")),
    ("addrtype", "nat", "-A PREROUTING -m addrtype --dst-type LOCAL", (*NAT, "xt_addrtype")),
    ("conntrack", "filter", "-A INPUT -m conntrack --ctstate NEW", (*COMPAT, "xt_conntrack")),
    ("statistic", "nat", "-A OUTPUT -m statistic --mode random --probability 0.5",
     (*NAT, "xt_statistic")),
    ("mark", "mangle", "-A INPUT -m mark --mark 0x2/0x2 -j MARK --set-xmark 0x4/0x4",
     (*COMPAT, "xt_mark")),
    ("CONNMARK", "mangle", "-A PREROUTING -j CONNMARK --restore-mark --mask 0x80",
     (*COMPAT, "xt_connmark", "nf_conntrack")),
    ("SNAT", "nat", "-A POSTROUTING -j SNAT --to-source 192.0.2.1 --random-fully",
     (*NAT, "xt_nat")),
    ("DNAT", "nat", "-A PREROUTING -p tcp --dport 80 -j DNAT --to-destination 10.0.0.1:8080",
     (*NAT, "xt_nat", "xt_tcpudp")),
    ("MASQUERADE", "nat", "-A POSTROUTING -j MASQUERADE --random-fully",
     (*NAT, "xt_MASQUERADE")),
    ("TTL", "mangle", "-A FORWARD -m ttl --ttl-eq 1 -j TTL --ttl-inc 1",
     (*COMPAT, "xt_hl", "xt_HL")),
    ("REJECT", "filter", "-A INPUT -j REJECT", (*COMPAT, "ipt_REJECT", "nf_reject_ipv4")),
)  # fmt: skip

IPTABLES = tuple(
    Feature(f"iptables {name}", "the rules of nodes", iptables(table, rule), modules, needed=True)
    for name, table, rule, modules in RULES
)

OPTIONAL = (
    Feature(
        "netem",
        "delay, loss and reordering on links",
        commands("tc qdisc add dev lo root netem delay 1ms"),
        ("sch_netem",),
    ),
    Feature(
        "vlan",
        "pods with security groups of their own (branch ENIs)",
        commands(
            "ip link add veth0 type veth peer name veth1",
            "ip link add link veth0 name veth0.1 type vlan id 1",
        ),
        ("8021q", "veth"),
    ),
    Feature(
        "vrf",
        "routing tables by device",
        commands("ip link add vrf0 type vrf table 10"),
        ("vrf",),
    ),
    Feature(
        "ipvlan",
        "CNIs that put ENIs' addresses straight into pods",
        commands(
            "ip link add veth0 type veth peer name veth1",
            "ip link add ipvl0 link veth0 type ipvlan mode l2",
        ),
        ("ipvlan", "veth"),
    ),
    Feature(
        "ipip",
        "overlays of the IPIP kind",
        commands("ip link add ipip0 type ipip local 192.0.2.1 remote 192.0.2.2"),
        ("ipip",),
    ),
    Feature(
        "dummy",
        "kube-proxy in IPVS mode",
        commands("ip link add dummy0 type dummy"),
        ("dummy",),
    ),
    Feature(
        "vxlan",
        "labs across several machines, overlays",
        commands("ip link add vxlan0 type vxlan id 1 dstport 4789 local 192.0.2.1"),
        ("vxlan",),
    ),
    Feature(
        "br_netfilter",
        "kubenet: iptables sees what a bridge carries",
        _br_netfilter,
        ("br_netfilter",),
        autoload=False,
    ),
    Feature(
        "htb",
        "kubenet: the traffic shaper of cbr0",
        commands(
            "tc qdisc add dev lo root handle 1: htb default 30",
            "tc class add dev lo parent 1: classid 1:1 htb rate 1mbit",
            "tc filter add dev lo protocol ip parent 1:0 prio 1 u32 match ip dst 192.0.2.1"
            " flowid 1:1",
        ),
        ("sch_htb", "cls_u32"),
    ),
    Feature(
        "multiport",
        "hostPorts by the plugin portmap",
        iptables("nat", "-A OUTPUT -p tcp -m multiport --dports 80,81"),
        (*NAT, "xt_multiport"),
    ),
    Feature("tracefs", "the kernel's own reason for a dropped packet", _tracefs),
)

FEATURES = (*NEEDED, *IPTABLES, *OPTIONAL)
