"""The machine's network, mounts, settings and /etc: the same before, during and after a lab."""

import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import Commands, OnAHost
from tests.cli.forked import Verb, run
from tests.waiting import wait_until

pytestmark = pytest.mark.kernel

NETWORK = (
    "ip -d -o link",
    "ip -o address",
    "ip route show table all",
    "ip -6 route show table all",
    "ip rule",
    "ip -6 rule",
    "ip neighbour",
    "bridge fdb",
    "tc qdisc",
    "nft list ruleset",
    "iptables-nft-save",
)
COUNTS = (  # sysctls that tell of the moment, whoever does what
    "fs.aio-nr",
    "fs.dentry-state",
    "fs.file-nr",
    "fs.inode-nr",
    "fs.inode-state",
    "fs.quota.",
    "kernel.cad_pid",
    "kernel.hung_task_detect_count",
    "kernel.keys.",
    "kernel.ns_last_pid",
    "kernel.perf_",
    "kernel.pty.nr",
    "kernel.random.",
    "kernel.sched_domain.",
    "kernel.tainted",
    "net.netfilter.nf_conntrack_count",
)
HOST = """\
set -e
cp -a /etc /run/etc; mount --bind /run/etc /etc  # nobody else changes this one
ip link set lo up
for dev in all default; do echo 1 >/proc/sys/net/ipv6/conf/$dev/disable_ipv6; done
ip link add host0 type veth peer name host1
ip address add 10.0.1.4/16 dev host0
ip link set host0 up; ip link set host1 up
ip route add default via 10.0.0.1
ip rule add pref 512 from 10.0.1.5 lookup main
nft add table inet mine
"""


def network() -> dict[str, str]:
    """All that `ip`, `nft` and their like can tell, and the mounts."""
    told = {}
    for line in NETWORK:
        done = subprocess.run(line.split(), capture_output=True, text=True, check=True)
        told[line] = done.stdout
    return told | {"mounts": Path("/proc/self/mountinfo").read_text()}


def is_settled() -> bool:
    """Whether both ends of the host's pair have their carriers; a work queue gives them those."""
    links = network()["ip -d -o link"].splitlines()
    return all(" state UP " in link for link in links if "host0" in link)


def configuration() -> dict[str, tuple[int, int, int]]:
    """Every file of /etc: which it is, its length, its last change."""
    found = {}
    for file in Path("/etc").rglob("*"):
        seen = file.lstat()
        found[str(file)] = (seen.st_ino, seen.st_size, seen.st_mtime_ns)
    return found


def sysctls() -> dict[str, str]:
    """Every sysctl that can be read."""
    found = {}
    for file in Path("/proc/sys").rglob("*"):
        name = ".".join(file.relative_to("/proc/sys").parts)
        if name.startswith(COUNTS) or not file.is_file():
            continue
        try:
            found[name] = file.read_text(errors="replace")
        except OSError:  # to be written only, or of a device that is not there
            continue
    return found


def packets() -> dict[str, tuple[str, ...]]:
    """What each device has sent, received and dropped."""
    kinds = ("rx_packets", "tx_packets", "rx_dropped", "tx_dropped")
    return {
        device.name: tuple((device / "statistics" / kind).read_text().strip() for kind in kinds)
        for device in Path("/sys/class/net").iterdir()
        if (device / "statistics").exists()
    }


def test_a_lab_changes_nothing_and_sends_nothing(on_a_host: OnAHost) -> None:
    """A host with the lab's own addresses on a device, a default route, a rule and a rule set."""

    def test(commands: Commands) -> None:
        subprocess.run(["sh", "-c", HOST], check=True)
        wait_until(is_settled)
        before, settings, sent, etc = network(), sysctls(), packets(), configuration()
        assert "host0" in sent, "premise: there is a device that packets could leave by"
        assert len(settings) > 500, "premise: these are all sysctls"

        assert run("up", str(commands.file)).code == 0
        lab = ("-l", commands.name)
        assert run("matrix", *lab, "-p", "http").code == 0
        outside = ("203.0.113.10", "10.0.1.4", "10.0.0.1", "192.168.77.1")
        for address in outside:  # a host of the lab's internet, the host's own, nobody's
            run("exec", *lab, "web-0", "--", "ping", "-c1", "-W1", address)
        assert network() == before
        assert same(settings) == {}
        assert run("down", commands.name).code == 0

        assert network() == before
        assert same(settings) == {}
        assert packets() == sent, "no packet of the lab on any device of the host"
        assert configuration() == etc, "though resolv.conf is a lab's own inside"

    on_a_host(test)


def same(before: dict[str, str]) -> dict[str, tuple[str, str | None]]:
    """The sysctls that are not as they were; those of modules that have come are new."""
    now = sysctls()
    return {
        name: (value, now.get(name)) for name, value in before.items() if now.get(name) != value
    }


def test_twenty_labs_with_the_same_addresses(on_a_host: OnAHost) -> None:
    """Side by side, made and asked at the same time; each knows its own pods only."""

    def test(commands: Commands) -> None:
        names = [f"lab-{number}" for number in range(20)]
        ups = [Verb(("up", "--name", name, str(commands.file))) for name in names]
        assert [up.done().code for up in ups] == [0] * 20
        broken = names[7]
        assert run("exec", "-l", broken, "node-1", "--", "ip", "rule", "flush").code == 0

        asked = {name: Verb(("matrix", "-l", name)) for name in names}
        assert {name: verb.done().code for name, verb in asked.items()} == {
            name: int(name == broken) for name in names
        }
        downs = [Verb(("down", name)) for name in names]
        assert [down.done().code for down in downs] == [0] * 20

    on_a_host(test)
