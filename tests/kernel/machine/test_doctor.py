"""What `testbed doctor` finds, how it finds it, and what it leaves alone."""

import resource
import subprocess
from pathlib import Path

import pytest

from testbed.kernel.machine import mounts
from testbed.kernel.machine.doctor import Finding, examine, satisfied
from testbed.kernel.machine.features import FEATURES
from testbed.kernel.machine.modules import Modules, modules
from testbed.kernel.machine.scratch import in_child, in_scratch
from testbed.kernel.machine.trying import Feature, commands, iptables, nft, try_all
from tests import ordinary

pytestmark = pytest.mark.kernel

EVERY_MODULE = frozenset(module for feature in FEATURES for module in feature.modules)


def by_feature(findings: tuple[Finding, ...]) -> dict[str, Finding]:
    return {finding.feature: finding for finding in findings}


def host() -> list[str]:
    """What a careless examination would change."""
    commands = ("ip netns", "ip -d link", "ip rule", "nft list ruleset", "tc qdisc")
    shown = [
        subprocess.run(line.split(), capture_output=True, text=True, timeout=10, check=True).stdout
        for line in commands
    ]
    proc = [Path("/proc/self/mountinfo"), Path("/proc/modules")]
    return shown + [file.read_text() for file in proc if file.exists()]


def test_a_machine_that_runs_these_tests_lacks_nothing_that_is_needed():
    findings = examine()

    lacking = [f for f in findings if f.needed and f.status == "missing"]
    assert lacking == []
    assert satisfied(findings)


def test_needed_things_come_first_and_every_finding_says_what_it_is_for():
    findings = examine()

    needed = [finding.needed for finding in findings]
    assert needed == sorted(needed, reverse=True)
    assert all(finding.detail for finding in findings)
    assert all(finding.remedy for finding in findings if finding.status != "ok")


def test_the_machine_is_as_before():
    """Names, links, rules, mounts and modules of the host are nobody's to try things on."""
    before = in_child(host)

    examine()

    assert in_child(host) == before


def test_what_the_kernel_refuses_is_told_in_the_programs_own_words():
    features = (
        Feature("link", "", commands("ip link add veth0 type veth peer name veth0")),
        Feature("rule", "", iptables("nat", "-A POSTROUTING -j NOSUCHTARGET")),
        Feature("set", "", nft("add rule ip nowhere nothing accept")),
        Feature("program", "", commands("no-such-program")),
        Feature("fine", "", commands("ip link set lo up")),
    )

    complaints = in_scratch(lambda: try_all(features, modules()))

    assert "File exists" in complaints["link"]
    assert "NOSUCHTARGET" in complaints["rule"]
    assert "No such file or directory" in complaints["set"]
    assert complaints["program"] == "the program no-such-program is not installed"
    assert complaints["fine"] == ""


def test_each_attempt_has_a_network_namespace_of_its_own():
    """Two features that make a link of the same name do not meet."""
    veth = commands("ip link add veth0 type veth peer name veth1")
    features = (Feature("one", "", veth), Feature("other", "", veth))

    assert in_scratch(lambda: try_all(features, modules())) == {"one": "", "other": ""}


def test_what_would_load_a_module_is_not_tried():
    """A stock kernel has most of it as modules; the first lab loads them, the doctor never."""
    stock = Modules("6.1.0-56-amd64", dynamic=True, loadable=EVERY_MODULE)

    found = by_feature(examine(stock))

    assert in_scratch(lambda: try_all(FEATURES, stock)).keys() == {"names", "ip rule", "tracefs"}
    assert found["veth"].status == "ok"
    assert found["veth"].detail == "every link: not tried: the first use loads veth"
    assert found["br_netfilter"].status == "limited", "no use of a bridge loads it"
    assert found["br_netfilter"].remedy == "modprobe br_netfilter"


def test_a_module_that_is_nowhere_is_missing_and_the_remedy_names_packages():
    cloud = Modules(
        "6.8.0-1008-aws",
        dynamic=True,
        usable=EVERY_MODULE - {"sch_netem", "xt_HL"},
        loadable=frozenset(),
    )

    findings = examine(cloud)

    netem = by_feature(findings)["netem"]
    assert (netem.status, netem.needed) == ("missing", False)
    assert "this kernel has no module sch_netem" in netem.detail
    assert "linux-modules-extra-6.8.0-1008-aws (Ubuntu)" in netem.remedy
    assert by_feature(findings)["iptables TTL"].status == "missing"
    assert not satisfied(findings), "the fabric keeps packets' TTL"


def test_where_the_kernels_files_cannot_be_seen_nothing_is_assumed():
    """A container on a stock kernel: neither `ok` nor `missing` would be honest."""
    container = Modules("6.12.0", dynamic=True, usable=EVERY_MODULE - {"vxlan"})

    found = by_feature(examine(container))

    assert found["vxlan"].status == "limited"
    assert found["vxlan"].remedy == "modprobe vxlan; then ask again"


def test_an_ordinary_user_is_told_what_a_lab_of_theirs_has():
    """In a user namespace everything that is needed is there; tracefs is for root alone."""
    ordinary.skip_unless_possible()

    def as_ordinary() -> tuple[Finding, ...]:
        ordinary.become()
        return examine()

    findings = in_child(as_ordinary)

    found = by_feature(findings)
    assert found["root"].status == "limited"
    assert "run this with sudo" in found["root"].remedy
    assert (found["user namespaces"].status, found["user namespaces"].needed) == ("ok", True)
    assert (found["tracefs"].status, found["tracefs"].remedy) == ("missing", "run this with sudo")
    assert satisfied(findings)


def test_a_program_that_is_not_there_is_named_with_its_package():
    def without_conntrack() -> tuple[Finding, ...]:
        mounts.mount("/dev/null", "/usr/sbin/conntrack", flags=mounts.MS_BIND)
        return examine()

    found = by_feature(in_scratch(without_conntrack))["conntrack"]

    assert found.status == "missing"
    assert found.remedy == "apt-get install conntrack"


def test_a_limit_says_how_many_pods_it_allows():
    def with_few_files() -> tuple[Finding, ...]:
        resource.setrlimit(resource.RLIMIT_NOFILE, (400, 400))
        return examine()

    found = by_feature(in_child(with_few_files))["open files"]

    assert found.status == "limited"
    assert found.detail == "enough for 100 pods"


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("kernel/net/8021q/8021q.ko.xz: kernel/net/802/garp.ko.xz", "8021q"),
        ("kernel/drivers/net/veth.ko", "veth"),
        ("kernel/net/netfilter/xt_HL.ko.zst:", "xt_HL"),
        ("kernel/net/bridge/br-netfilter.ko:", "br_netfilter"),
    ],
)
def test_a_line_of_modules_dep_names_a_module(line, name):
    from testbed.kernel.machine.modules import _names

    assert _names([line]) == {name}
