"""get, ping, path, matrix, verify, validate, schema: what they print and how they end."""

import json
import re
from pathlib import Path

import pytest
import yaml

from testbed.cli.look.get import get_
from testbed.cli.look.kinds import ALIASES
from testbed.daemon.shown.views import CONNTRACK, KINDS
from testbed.daemon.shown.views import KERNEL_KINDS as ROWS_OF_KERNELS
from tests.cli.conftest import Commands
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.kernel

LAB_KINDS = ["pods", "services", "endpoints", "nodes", "enis", "subnets", "vpcs", "routetables"]
README = Path(__file__).parents[3] / "README.md"
KERNEL_KINDS = ["rules", "routes", "neighbours", "chains", "addresses", "links", CONNTRACK]


@pytest.mark.parametrize(
    "kind",
    [*LAB_KINDS, *KERNEL_KINDS],
)
def test_every_kind_is_a_list_of_objects_with_names(lab: Commands, kind: str) -> None:
    rows = json.loads(lab.on("get", kind, "-o", "json"))

    assert rows
    assert all(row["name"] for row in rows)
    assert yaml.safe_load(lab.on("get", kind, "-o", "yaml")) == rows
    assert lab.on("get", kind)


def test_kernel_objects_of_one_place_say_why_they_are_there(lab: Commands) -> None:
    rows = json.loads(lab.on("get", "rules", "node-1", "-o", "json"))

    assert {row["ns"] for row in rows} == {"node-1"}
    assert any("amazon-vpc-cni-k8s: 512" in row["why"] for row in rows)


def test_connections_are_counted_where_they_are_tracked(lab: Commands) -> None:
    """As `conntrack -C` counts them; a pod has no rules, and so no table."""
    lab.on("ping", "web-0", "client")
    rows = {row["name"]: row for row in json.loads(lab.on("get", CONNTRACK, "-o", "json"))}
    [one] = json.loads(lab.on("get", CONNTRACK, "node-1", "-o", "json"))

    assert "node-1" in rows
    assert "web-0" not in rows
    assert 0 < one["entries"] < one["max"]
    assert one["insertFailed"] == 0


def test_a_service_is_described_with_its_rules_on_a_node(lab: Commands) -> None:
    """As `iptables-save` prints them, with what each is for."""
    [web] = json.loads(lab.on("describe", "service", "web", "-o", "json"))
    shown = lab.on("describe", "svc", "web", "--node", "node-2")

    assert [one["pod"] for one in web["ports"][0]["endpoints"]] == ["web-0", "web-1"]
    assert f"IP:         {web['clusterIp']}\n" in shown
    assert "node-2: KUBE-SVC-LOLE4ISW44XBNF3G in table nat\n" in shown
    assert "  # one in 2" in shown
    assert "-m statistic --mode random --probability" in shown
    assert "did you mean" in lab.on("describe", "service", "wep", code=2)
    assert "services pods nodes can" in lab.on("describe", "eni", "eth0", code=2)


def test_pods_and_nodes_are_described_as_their_kernels_are(lab: Commands) -> None:
    """A rule that somebody has deleted is not there any more; connections are counted."""
    [client] = json.loads(lab.on("describe", "pod", "client", "-o", "json"))
    told = f"from all to {client['ip']} lookup main"
    assert told in lab.on("describe", "po", "client")
    lab.on("exec", "node-2", "--", "ip", "rule", "del", "to", client["ip"])
    assert told not in lab.on("describe", "po", "client")
    lab.run("up", str(lab.file))
    lab.on("exec", "client", "--", "curl", "-s", "http://web")

    [node] = json.loads(lab.on("describe", "node", "node-2", "-o", "json"))

    assert node["conntrack"]["entries"] > 0
    assert [pod["name"] for pod in node["podList"]] == ["client"]
    assert "Conntrack:" in lab.on("describe", "node", "node-2")
    assert lab.on("describe", "node/node-2").startswith("Name:       node-2\n")
    assert "--node says" in lab.on("describe", "pod", "client", "--node", "node-2", code=2)
    assert "testbed get pods" in lab.on("describe", "po", code=2)


def test_a_wrong_kind_or_name_is_told_what_there_is(lab: Commands) -> None:
    assert "nodes" in lab.on("get", "gizmos", code=2)
    assert "web-0" in lab.on("get", "pods", "web-9", code=2)
    assert "web-0" in lab.on("ping", "web-9", "client", code=2)
    assert "client" in lab.on("ping", "web-0", "nobody", code=2)
    assert 'did you mean "nodes"' in lab.on("get", "nods", code=2)
    assert 'here say "client"' in lab.on("ping", "web-0", "client:80", code=2)
    assert "after the colon" in lab.on("explain", "web-0", "client:http", code=2)
    assert 'did you mean "client"' in lab.on("exec", "default/client", "--", "true", code=2)
    assert lab.name in lab.run("get", "-l", "not-there", "pods", code=2)
    assert 'did you mean "verify"' in lab.run("verfy", code=2)


def test_a_table_has_columns_of_one_width(lab: Commands) -> None:
    """`ip rule` has a tab in its lines, which a terminal would widen."""
    heading, *rules = lab.on("get", "rules", "node-1").splitlines()

    assert {rule.find("from all") for rule in rules if " 512:" in rule} == {
        heading.find("TEXT") + 5
    }
    assert not any("\t" in rule for rule in rules)


@pytest.mark.parametrize("text", [get_.help, README.read_text(encoding="utf-8")])
def test_every_kind_is_named_where_people_look(text: str) -> None:
    """In `get --help` and in README; a kind nobody hears of is not there."""
    words = set(re.findall(r"\w+", text))

    assert {*KINDS, *ROWS_OF_KERNELS, CONNTRACK} <= words
    assert set(ALIASES.values()) <= {*KINDS, *ROWS_OF_KERNELS, CONNTRACK}


def test_the_doctor_ends_with_what_it_comes_to(lab: Commands) -> None:
    assert "labs can run here" in lab.start("doctor").communicate(timeout=60)[1]


def test_a_topology_and_a_manifest_are_told_from_each_other(lab: Commands, tmp_path: Path) -> None:
    manifest = tmp_path / "app.yaml"
    manifest.write_text("apiVersion: v1\nkind: Pod\nmetadata: { name: x }\n")

    assert "`testbed apply -f` puts" in lab.run("validate", str(manifest), code=2)
    assert "`testbed up` takes" in lab.on("apply", "-f", str(lab.file), code=2)


def test_tab_offers_verbs_kinds_labs_and_places(
    lab: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    """click asks the program itself: _TESTBED_COMPLETE, and the words typed so far."""

    def offered(words: str) -> set[str]:
        monkeypatch.setenv("_TESTBED_COMPLETE", "bash_complete")
        monkeypatch.setenv("COMP_WORDS", f"testbed {words}")
        monkeypatch.setenv("COMP_CWORD", str(len(words.split(" "))))
        try:
            printed = lab.run()
        finally:
            monkeypatch.delenv("_TESTBED_COMPLETE")
        return {line.split(",", 1)[1] for line in printed.splitlines()}

    assert offered("ex") == {"exec", "explain"}
    assert {"rules", "routes", "routetables"} == offered("get r")
    assert lab.name in offered("ping -l tes")
    assert offered(f"ping -l {lab.name} web-") == {"web-0", "web-1"}
    assert "client" in offered(f"exec -l {lab.name} c")


def test_a_lab_without_slides_says_so(lab: Commands) -> None:
    assert lab.on("slide", "-o", "json") == "[]\n"

    process = lab.start("slide", "-l", lab.name)

    assert "no slides" in process.communicate(timeout=PATIENCE_S)[1]


def test_room_for_an_update_is_asked_of_a_file_or_of_a_lab(
    lab: Commands, topologies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    eks, kops = str(topologies / "eks.yaml"), str(topologies / "kops.yaml")

    rooms = json.loads(lab.on("upgrade", "--dry-run", "-o", "json"))
    assert {room["verdict"] for room in rooms} == {"ok"}
    assert "not both" in lab.on("upgrade", "--dry-run", eks, code=2)
    monkeypatch.setenv("TESTBED_LAB", lab.name)
    assert "private-a" in lab.run("upgrade", "--dry-run", eks), "no contradiction"
    assert "no EKS cluster" in lab.run("upgrade", "--dry-run", kops, code=2)


def test_ping_and_path_end_with_one_when_nobody_answers(lab: Commands) -> None:
    lab.on("ping", "web-0", "client")
    assert "0 of 1" in lab.on("ping", "web-0", "10.0.2.99", "--timeout", "0.2", code=1)
    assert "no number of seconds" in lab.on("matrix", "--timeout", "nan", code=2)
    assert "X_NO_MAPPING" in lab.on("path", "web-0", "10.0.2.99", code=1)
    assert json.loads(lab.on("path", "web-0", "client", "-o", "json"))["delivered"]


def test_the_matrix_counts_its_pairs(lab: Commands) -> None:
    result = json.loads(lab.on("matrix", "-o", "json"))

    assert (result["pairs"], result["ok"]) == (6, 6)
    assert (result["failed"], result["inconclusive"]) == ([], [])


def test_validate_and_dry_run_say_what_a_file_holds(lab: Commands) -> None:
    assert "3 pods" in lab.run("validate", str(lab.file))
    assert lab.run("up", "--dry-run", str(lab.file)) == "0 to write, 0 to remove\n"
    other = lab.run("up", "--dry-run", "--name", "not-there", str(lab.file))
    assert "+ node-1: 512:\tfrom all to 10.0.1." in other


def test_the_schema_is_json(lab: Commands) -> None:
    assert json.loads(lab.run("schema"))["properties"]["testbed"]
