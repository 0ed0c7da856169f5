"""A slide's command only looks: a topology in YAML is no program."""

import pytest

from testbed.lab import Slide
from testbed.lab.slides import looks, slide_problems

LOOKING = [
    "ip rule",
    "ip route show table 1 root 100.65.0.0/16",
    "ip -4 -br address show cbr0",
    "ip -d link show dev eth0",
    "ip neigh",
    "bridge fdb show br cbr0",
    "nft list ruleset",
    "nft -a list table ip nat",
    "iptables -t nat -S",
    "iptables -t nat -nvL POSTROUTING",
    "iptables-nft -t nat -S KUBE-SEP-CTLHI6YNQCQEIAHG",
    "iptables-save -t mangle",
]
DOING = [
    "",
    "touch /etc/passwd",
    "sh -c id",
    "/usr/sbin/ip rule",
    "ip netns exec node-1 sh",
    "ip vrf exec x sh",
    "ip -batch /tmp/x",
    "ip -b /tmp/x rule",
    "ip rule add from 10.0.0.1 lookup 2",
    "ip link del eth0",
    "ip route flush table main",
    "ip rule; id",
    "ip rule\nid",
    "iptables -M /tmp/x -S",
    "iptables --modprobe=/tmp/x -S",
    "iptables -F",
    "iptables-save -M /tmp/x",
    "iptables-save -f /etc/x",
    "nft -f /tmp/x",
    "nft list ruleset; flush ruleset",
    "nft -i",
    "bridge -b /tmp/x",
    "bridge fdb add 00:00:00:00:00:01 dev eth0",
    "sysctl -w kernel.core_pattern=|/tmp/x",
]


@pytest.mark.parametrize("command", LOOKING)
def test_what_slides_show_is_allowed(command: str) -> None:
    assert looks(command)


@pytest.mark.parametrize("command", DOING)
def test_whatever_may_do_more_is_refused(command: str) -> None:
    """`testbed slide` would do it as root."""
    [problem] = slide_problems([Slide("title", "node-1", command, "")], ["node-1"])

    assert problem.key == "slides.title.command"
