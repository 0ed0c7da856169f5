"""The logs that a user of a real node looks for are there, and say what the lab did."""

import json

import pytest

from testbed.daemon.process.home import Home
from tests.cli.conftest import Commands

pytestmark = pytest.mark.kernel

IPAMD, PLUGIN = "/var/log/aws-routed-eni/ipamd.log", "/var/log/aws-routed-eni/plugin.log"
POD_LOG = "/var/log/pods/kube-system_aws-node/aws-node/0.log"


def cat(lab: Commands, file: str, node: str = "node-1") -> str:
    return lab.on("exec", node, "--", "cat", file)


def test_ipamd_and_plugin_write_logs_that_their_node_shows(lab: Commands) -> None:
    """In the lab's own directory; the machine's /var/log is not written."""
    lines = [json.loads(line) for line in cat(lab, IPAMD).splitlines()]

    assert all([*line] == ["level", "ts", "caller", "msg"] for line in lines)
    assert any(line["msg"].startswith("Starting L-IPAMD v1.23.1") for line in lines)
    assigned = [line for line in lines if "Assign IP 10.0.1." in line["msg"]]
    assert len(assigned) == 2
    assert cat(lab, PLUGIN).count("Successfully setup toContainer rule") == 2
    assert cat(lab, IPAMD) == (Home(lab.name).logs / "node-1" / IPAMD[1:]).read_text()
    assert not (Home(lab.name).logs / "web-0").exists(), "a pod has no node's logs"


def test_a_start_of_aws_node_appends_and_level_and_file_are_the_variables(lab: Commands) -> None:
    before = cat(lab, IPAMD)

    lab.on("restart", "node-1")

    after = cat(lab, IPAMD)
    assert after.startswith(before)
    assert after.count("Starting L-IPAMD") == before.count("Starting L-IPAMD") + 1
    other = cat(lab, IPAMD, "node-2")

    lab.on("set", "eks", "AWS_VPC_K8S_CNI_LOG_FILE=stdout", "AWS_VPC_K8S_CNI_LOGLEVEL=info")

    assert cat(lab, IPAMD, "node-2") == other
    written = cat(lab, POD_LOG, "node-2")
    assert " stdout F {" in written
    assert '"level":"debug"' not in written
    lab.up()
