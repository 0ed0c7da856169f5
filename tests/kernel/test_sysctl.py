"""Where a sysctl's file is, and what stands for those whose module is not loaded."""

from pathlib import Path

import pytest

from testbed.errors import KernelError, MissingFeature
from testbed.kernel import sysctl
from testbed.kernel.sysctl import path
from testbed.net.facts import Sysctl

BRIDGED = "net.bridge.bridge-nf-call-iptables"


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


def test_a_sysctl_whose_module_is_not_loaded_is_what_the_kernel_does_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without br_netfilter no bridge asks iptables: as with 0, which needs no writing then."""
    monkeypatch.setattr(sysctl, "PROC_SYS", tmp_path)

    assert sysctl.read(BRIDGED) == "0"
    sysctl.write(BRIDGED, "0")
    with pytest.raises(MissingFeature, match=r"iptables = 1: `modprobe br_netfilter` is needed"):
        sysctl.write(BRIDGED, "1")
    assert sysctl.read("net.ipv4.no_such_thing") is None, "control: of no module"
    with pytest.raises(KernelError, match="No such file"):
        sysctl.write("net.ipv4.no_such_thing", "0")
