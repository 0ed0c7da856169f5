"""restart: aws-node starts again, reads its checkpoint, and writes less than is planned."""

import json
from pathlib import Path
from typing import Any

import pytest

from testbed.daemon.process.home import Home
from tests.cli.conftest import Commands

pytestmark = pytest.mark.kernel

NODE = "node-1"


@pytest.fixture(scope="module")
def started(lab: Commands) -> Commands:
    """A lab with a pod on eth1 of its node, which is the fourth."""
    wanted = lab.file.read_text().replace("replicas: 2", "replicas: 5")
    lab.file.write_text(wanted)
    lab.up()
    return lab


def checkpoint(lab: Commands) -> Path:
    return Home(lab.name).aws_node / NODE / "ipam.json"


def rules(lab: Commands) -> dict[int, int]:
    """How many there are of each priority on the node."""
    found: list[dict[str, Any]] = json.loads(lab.on("exec", NODE, "--", "ip", "-j", "rule"))
    priorities = [rule["priority"] for rule in found]
    return {priority: priorities.count(priority) for priority in priorities}


def delete(lab: Commands, priority: int) -> None:
    lab.on("exec", NODE, "--", "ip", "rule", "del", "pref", str(priority))


def test_it_changes_nothing_where_nothing_is_damaged(started: Commands) -> None:
    assert started.on("restart", "daemonset/aws-node").endswith("0 to write, 0 to remove\n")
    started.on("verify")


def test_rules_that_a_network_daemon_removed_come_back_only_in_part(started: Commands) -> None:
    """#1600, #3309: not even a restart helps pods; they have to be made again."""
    there = rules(started)
    for priority in (512, 1024, 32765, *[1536] * there[1536]):
        delete(started, priority)

    started.on("restart", NODE)

    after = rules(started)
    assert (after[1024], after[32765]) == (there[1024], there[32765])
    assert (after[512], after.get(1536)) == (there[512] - 1, None)
    started.on("verify", code=1)
    started.up()
    assert rules(started) == there


def test_of_pods_that_still_have_a_rule_it_is_written_anew(started: Commands) -> None:
    """UpdateRuleListBySrc: all that are from the pod go, whatever their table."""
    there = rules(started)
    [pod] = [
        row
        for row in json.loads(started.on("get", "pods", "-o", "json"))
        if row["name"] == "web-3"
    ]
    more = ("ip", "rule", "add", "pref", "1536", "from", pod["ip"], "lookup", "99")
    started.on("exec", NODE, "--", *more)

    assert "lookup 99" in started.on("restart", NODE)

    assert rules(started) == there
    started.on("verify")


def test_with_a_file_of_another_version_it_does_not_start(started: Commands) -> None:
    file = checkpoint(started)
    file.write_text(file.read_text().replace("ipam/1", "ipam/2"))

    said = started.on("restart", NODE, code=1)

    assert "aws-node does not start on node-1: failed ipam state recovery due to unexp" in said
    started.on("verify")
    started.up()
    assert "ipam/1" in file.read_text(), "the next assignment writes over it"


LATE = """\
apiVersion: v1
kind: Pod
metadata: {name: late}
spec: {nodeName: node-1, containers: [{name: late, ports: [{containerPort: 80}]}]}
"""


def test_without_its_file_it_gives_addresses_that_pods_have(started: Commands) -> None:
    """#711: two pods, one address; the node's route is the new one's."""
    checkpoint(started).unlink()

    started.on("restart", NODE)
    tells = started.on("exec", NODE, "--", "curl", "-s", "http://localhost:61679/v1/enis")
    assert json.loads(tells)["0"]["AssignedIPs"] == 0
    started.on("apply", "-f", "-", stdin=LATE)

    pods = {row["name"]: row["ip"] for row in json.loads(started.on("get", "pods", "-o", "json"))}
    assert pods["late"] == pods["web-0"]
    address = f"http://{pods['late']}/"
    assert '"pod": "late"' in started.on("exec", "client", "--", "curl", "-s", "-m", "60", address)
    assert "late" in checkpoint(started).read_text()
    started.on("verify")
    started.on("delete", "-f", "-", stdin=LATE)


def test_words_that_mean_no_aws_node_are_refused(started: Commands) -> None:
    assert "did you mean" in started.on("restart", "node-11", code=2)
    assert "in one place" in started.on("restart", "node-1", "node-2", code=2)
    assert "0 to write" in started.on("restart", "daemonset", "aws-node")
