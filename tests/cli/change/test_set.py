"""set: the CNI's settings change on a running lab, as a rollout of aws-node changes them."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Commands

pytestmark = pytest.mark.kernel

SNAT = "AWS_VPC_K8S_CNI_EXTERNALSNAT"


def iptables(lab: Commands) -> str:
    return lab.on("exec", "node-1", "--", "iptables-save", "-t", "nat")


def test_external_snat_takes_marks_and_translation_away_and_gives_them_back(lab: Commands) -> None:
    """What an earlier setting left behind is gone: the kernel is the plan, in both directions."""
    before = iptables(lab)
    assert "AWS, CONNMARK" in before

    shown = lab.on("set", "daemonset/aws-node", f"{SNAT}=true")

    assert "- node-1: *nat AWS-CONNMARK-CHAIN-0" in shown
    assert "AWS-CONNMARK-CHAIN-0" not in iptables(lab)
    assert ":AWS-SNAT-CHAIN-0 - [0:0]" in iptables(lab)
    assert "--to-source" not in iptables(lab)
    assert "facts as planned" in lab.on("verify")

    lab.on("set", "env", "ds", "aws-node", f"{SNAT}-")

    assert iptables(lab).splitlines()[1:-1] == before.splitlines()[1:-1]
    assert "facts as planned" in lab.on("verify")


def test_a_node_or_a_cluster_stands_for_its_daemon_set(lab: Commands) -> None:
    report = json.loads(
        lab.on("set", "node-2", "AWS_VPC_K8S_CNI_CONNMARK=0x40", "--dry-run", "-o", "json")
    )

    assert (report["cluster"], report["nodes"]) == ("eks", ["node-1", "node-2"])
    assert any("fwmark 0x40/0x40" in one["text"] for one in report["add"])
    assert "0x40" not in lab.on("exec", "node-1", "--", "ip", "rule"), "a dry run"
    assert "0 to write, 0 to remove" in lab.on("set", "eks", f"{SNAT}=false")


def test_what_the_file_says_is_back_after_up(lab: Commands) -> None:
    lab.on("set", "eks", "AWS_VPC_CNI_NODE_PORT_SUPPORT=0", f"{SNAT}=1")
    assert "1024:" not in lab.on("exec", "node-1", "--", "ip", "rule")

    lab.up()

    assert "1024:" in lab.on("exec", "node-1", "--", "ip", "rule")


WRONG = {
    ("eks", "WARM"): "expected KEY=VALUE or KEY-, found 'WARM'",
    ("eks", "WARM_ENI=1"): 'unknown key "WARM_ENI"; did you mean "WARM_ENI_TARGET"?',
    ("eks", "WARM_ENI-"): 'unknown key "WARM_ENI"; did you mean "WARM_ENI_TARGET"?',
    ("node-9", "WARM_ENI_TARGET=1"): 'there is no EKS cluster or node "node-9"',
    ("eks", "POD_MTU=99"): "POD_MTU: expected a number from 576 on",
}


def test_what_cannot_be_set_changes_nothing(lab: Commands) -> None:
    for words, message in WRONG.items():
        assert message in lab.on("set", *words, code=2)

    assert "facts as planned" in lab.on("verify")


def test_kops_has_no_vpc_cni(commands: Commands, topologies: Path) -> None:
    """Neither aws-node nor its settings for SNAT: said, and no rows that mean nothing."""
    commands.run("up", str(topologies / "kops-slides.yaml"), "--name", commands.name)

    assert "no EKS cluster" in commands.on("set", "ds/aws-node", "WARM_ENI_TARGET=1", code=2)
    assert "no EKS cluster" in commands.on("clients", "--every-setting", code=2)
