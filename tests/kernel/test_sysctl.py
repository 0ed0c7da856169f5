"""Where a sysctl's file is."""

from pathlib import Path

import pytest

from testbed.kernel.sysctl import path
from testbed.net.facts import Sysctl


@pytest.mark.parametrize(
    ("name", "file", "dev"),
    [
        ("net.ipv4.ip_forward", "net/ipv4/ip_forward", ""),
        ("net.ipv4.conf.all.rp_filter", "net/ipv4/conf/all/rp_filter", ""),
        ("net.ipv4.conf.default.rp_filter", "net/ipv4/conf/default/rp_filter", ""),
        ("net.ipv4.conf.eth0.rp_filter", "net/ipv4/conf/eth0/rp_filter", "eth0"),
        (
            "net.ipv4.conf.vlan.eth0.1.rp_filter",
            "net/ipv4/conf/vlan.eth0.1/rp_filter",
            "vlan.eth0.1",
        ),
        ("net.ipv6.conf.all.1.forwarding", "net/ipv6/conf/all.1/forwarding", "all.1"),
        ("net.ipv4.neigh.eth0.gc_stale_time", "net/ipv4/neigh/eth0/gc_stale_time", "eth0"),
        (
            "net.bridge.bridge-nf-call-iptables",
            "net/bridge/bridge-nf-call-iptables",
            "",
        ),
    ],
)
def test_dots_become_slashes_but_for_those_of_a_device(name: str, file: str, dev: str) -> None:
    assert path(name) == Path("/proc/sys") / file
    assert Sysctl(ns="n1", name=name, value="1").dev == dev
