"""render and ipam: verbs that need no lab, no root and no kernel."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

STATE = '{"instanceType": "m5.large", "enis": [{"id": "eni-1", "deviceIndex": 0}]}'


def run(*words: str, code: int = 0, stdin: str = "") -> str:
    """What a verb prints: its output, or for another exit code than 0 its error."""
    argv = [sys.executable, "-m", "testbed", *words]
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=30)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stderr if code else done.stdout


@pytest.mark.parametrize(
    ("profile", "rule"),
    [
        ("slides", "1536:\tfrom 10.10.0.102 to 10.10.0.0/16 lookup 2"),
        ("current", "1536:\tfrom 10.10.0.102 lookup 2"),
    ],
)
def test_without_a_topology_the_example_is_rendered(profile: str, rule: str) -> None:
    assert rule in run("render", "vpc-cni", "--profile", profile).splitlines()
    assert (
        rule in json.loads(run("render", "vpc-cni", "--profile", profile, "-o", "json"))["rules"]
    )


def test_a_topology_is_rendered_with_other_settings(topologies: Path) -> None:
    file = str(topologies / "eks-slides.yaml")
    snat = "-j SNAT --to-source 10.10.0.10"

    assert snat in run("render", "vpc-cni", "-f", file)
    assert snat not in run("render", "vpc-cni", "-f", file, "AWS_VPC_K8S_CNI_EXTERNALSNAT=true")
    assert "32765:" in run("render", "vpc-cni", "-f", file, "--profile", "current")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["WARM"], "expected KEY=VALUE, found 'WARM'"),
        (["AWS_VPC_ENI_MTU=x"], 'AWS_VPC_ENI_MTU: expected a whole number, found "x"'),
        (["--node", "node-9"], "the example has one node, node-1; give a topology with -f"),
        (["--pod", "pod-9"], 'there is no pod "pod-9"'),
    ],
)
def test_what_cannot_be_rendered_is_one_clear_error(words: list[str], message: str) -> None:
    error = run("render", "vpc-cni", *words, code=2)

    assert message in error
    assert len(error.splitlines()) == 1


def test_a_node_or_a_cluster_that_is_not_there_is_an_error(topologies: Path) -> None:
    eks, kops = str(topologies / "eks.yaml"), str(topologies / "kops.yaml")

    error = run("render", "vpc-cni", "-f", eks, "--node", "node-11", code=2)
    assert 'there is no EKS node "node-11"; did you mean "node-1"?' in error
    assert f"{kops}: no EKS node" in run("render", "vpc-cni", "-f", kops, code=2)


def test_ipamd_decides_by_a_file_or_by_standard_input(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    file.write_text(STATE)

    found = json.loads(run("ipam", "decide", "-f", str(file)))

    assert found["decisions"] == [{"action": "AssignAddresses", "eni": "eni-1", "count": 9}]
    assert json.loads(run("ipam", "decide", "-f", "-", stdin=STATE)) == found


def test_a_state_that_cannot_be_is_one_clear_error(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.json"
    wrong.write_text("{")
    binary = tmp_path / "binary.json"
    binary.write_bytes(b"\xff")

    assert "wrong.json:1: not JSON" in run("ipam", "decide", "-f", str(wrong), code=2)
    assert "this is no UTF-8 text" in run("ipam", "decide", "-f", str(binary), code=2)
    assert "No such file" in run("ipam", "decide", "-f", str(tmp_path / "none"), code=2)
