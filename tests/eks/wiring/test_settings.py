"""What the settings of amazon-vpc-cni-k8s change of the wiring, in both eras."""

import pytest

from testbed.net.facts import Fact
from tests.eks.wiring.wired import rules, sysctls

# rule 1536 and rule 1024 for every setting of SNAT


TWO_RANGES = ("10.10.0.0/16", "100.64.0.0/16")


def from_pod(found: frozenset[Fact]) -> list[str]:
    return [rule for rule in rules(found) if rule.startswith("1536")]


def test_with_snat_v1_5_has_a_rule_for_each_range_and_each_exclusion(facts):
    excluded = {"AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS": "192.168.0.0/16"}

    assert from_pod(facts("slides", TWO_RANGES, **excluded)) == [
        "1536: from 10.10.0.102 to 10.10.0.0/16 lookup 2",
        "1536: from 10.10.0.102 to 100.64.0.0/16 lookup 2",
        "1536: from 10.10.0.102 to 192.168.0.0/16 lookup 2",
    ]


@pytest.mark.parametrize(
    ("profile", "env"),
    [
        ("slides", {"AWS_VPC_K8S_CNI_EXTERNALSNAT": True}),
        ("current", {"AWS_VPC_K8S_CNI_EXTERNALSNAT": True}),
        ("current", {}),
        ("current", {"AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS": "192.168.0.0/16"}),
    ],
)
def test_else_there_is_one_rule_for_everything(facts, profile, env):
    assert from_pod(facts(profile, TWO_RANGES, **env)) == ["1536: from 10.10.0.102 lookup 2"]


@pytest.mark.parametrize(
    ("profile", "node_port", "external", "there"),
    [
        ("slides", True, False, True),
        ("slides", True, True, True),
        ("slides", False, False, False),
        ("slides", False, True, False),
        ("current", True, False, True),
        ("current", True, True, True),
        ("current", False, False, True),  # since v1.12.1: the marks of SNAT need it
        ("current", False, True, False),
    ],
)
def test_rule_1024_is_there_when_something_marks(facts, profile, node_port, external, there):
    found = facts(
        profile,
        AWS_VPC_CNI_NODE_PORT_SUPPORT=node_port,
        AWS_VPC_K8S_CNI_EXTERNALSNAT=external,
    )

    assert any(rule.startswith("1024") for rule in rules(found)) == there


def test_rule_1024_matches_the_mark_that_is_set(facts):
    found = facts("current", AWS_VPC_K8S_CNI_CONNMARK=0x100)

    assert "1024: from all fwmark 0x100/0x100 lookup main" in rules(found)


def test_external_services_are_reached_by_main(facts):
    """Rule 1535, since v1.12.6 and whatever the SNAT mode; v1.5 does not know the variable."""
    env = {"AWS_EXTERNAL_SERVICE_CIDRS": "192.168.0.0/24,203.0.113.7/32"}
    expected = [
        "1535: from all to 192.168.0.0/24 lookup main",
        "1535: from all to 203.0.113.7 lookup main",
    ]

    for external in (False, True):
        found = rules(facts("current", AWS_VPC_K8S_CNI_EXTERNALSNAT=external, **env))
        assert [rule for rule in found if rule.startswith("1535")] == expected
    assert rules(facts("slides", **env)) == rules(facts("slides"))


def test_early_demux_is_a_setting_of_today(facts):
    """Its init container writes it; v1.5 has none."""
    off = {"DISABLE_TCP_EARLY_DEMUX": True}

    assert sysctls(facts("current"))["net.ipv4.tcp_early_demux"] == "1"
    assert sysctls(facts("current", **off))["net.ipv4.tcp_early_demux"] == "0"
    assert "net.ipv4.tcp_early_demux" not in sysctls(facts("slides", **off))


def test_a_pod_without_ipv6_is_a_setting_of_today(facts):
    """The plugin tuning, behind aws-cni, writes it into the pod."""
    off = {"DISABLE_POD_V6": True}

    assert sysctls(facts("current", **off)) == {
        **sysctls(facts("current")),
        "net.ipv6.conf.all.disable_ipv6": "1",
        "net.ipv6.conf.default.disable_ipv6": "1",
        "net.ipv6.conf.lo.disable_ipv6": "1",
    }
    assert facts("slides", **off) == facts("slides")


def test_logs_change_nothing_of_the_wiring(facts):
    env = {"AWS_VPC_K8S_CNI_LOG_FILE": "stdout", "AWS_VPC_K8S_CNI_LOGLEVEL": "INFO"}

    assert facts("current", **env) == facts("current")
