"""explain, matrix --explain, up --dry-run --reachability: what they print and how they end."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.cli.conftest import Commands

pytestmark = pytest.mark.kernel


@contextmanager
def dropping(lab: Commands) -> Iterator[None]:
    """node-1 drops what web-0 sends to client."""
    client, web = address(lab, "client"), address(lab, "web-0")
    rule = ["FORWARD", "-s", web, "-d", client, "-j", "DROP"]
    lab.on("exec", "node-1", "--", "iptables", "-I", *rule)
    try:
        yield
    finally:
        lab.on("exec", "node-1", "--", "iptables", "-D", *rule)


def address(lab: Commands, pod: str) -> str:
    [row] = json.loads(lab.on("get", "pods", pod, "-o", "json"))
    return str(row["ip"])


def test_a_packet_that_arrives_is_told_and_agrees_with_its_prediction(lab: Commands) -> None:
    shown = lab.on("explain", "web-0", "client:80")

    assert "● node-1" in shown
    assert "✓ delivered to client" in shown
    assert "= Predicted and observed agree." in shown
    assert "facts as planned" in lab.on("verify"), "nothing of the watching remains"


def test_without_tracefs_the_answer_is_the_same(lab: Commands) -> None:
    def told(*words: str) -> list[str]:
        answer = json.loads(lab.on("explain", "web-0", "client", "-o", "json", *words))
        assert answer["difference"] is None
        return [visit["ns"] for visit in answer["observed"]["there"]["visits"]]

    assert told() == told("--no-tracefs") == ["web-0", "node-1", "vpc-main", "node-2", "client"]


def test_a_source_port_meets_the_connections_that_it_had(lab: Commands) -> None:
    ask = ["explain", "web-0", "client:7", "--source-port"]

    assert "12345" in lab.on(*ask, "12345", "-p", "udp")
    node = ["exec", "node-1", "--", "conntrack", "-L", "-p", "udp", "--orig-port-src", "12345"]
    assert "sport=12345 dport=7" in lab.on(*node)
    assert "✓ delivered to client" in lab.on(*ask, "12345", "-p", "udp", "--predict")
    assert "--source-port is for UDP" in lab.on(*ask, "12345", code=2)
    assert "port 7 is in use at the sender" in lab.on(*ask, "7", "-p", "udp", code=2)


def test_a_drop_exits_with_one_and_names_rule_code_and_difference(lab: Commands) -> None:
    with dropping(lab):
        shown = lab.on("explain", "web-0", "client:80", code=1)
        answer = json.loads(lab.on("explain", "web-0", "client", "-o", "json", code=1))

    assert "✗ dropped in node-1" in shown
    assert "-j DROP → drop" in shown
    assert "≠ First difference: node-1, netfilter:" in shown
    assert (answer["delivered"], answer["code"]) == (False, "X_FIREWALL")
    assert answer["difference"]["ns"] == "node-1"


def test_a_closed_port_is_refused_by_the_pod(lab: Commands) -> None:
    shown = lab.on("explain", "web-0", "client:81", code=1)

    assert "✗ refused in client" in shown
    assert "X_CLOSED_PORT" in shown


def test_a_prediction_sends_nothing_and_sees_the_kernel_as_it_is(lab: Commands) -> None:
    with dropping(lab):
        answer = json.loads(
            lab.on("explain", "web-0", "client", "--predict", "-o", "json", code=1)
        )

    assert answer["observed"] is None
    assert answer["code"] == "X_FIREWALL"
    assert answer["drift"]["aspect"] == "netfilter"
    assert "nothing was sent" in lab.on("explain", "web-0", "client", "--predict")


def test_what_if_changes_the_answer_and_not_the_lab(lab: Commands) -> None:
    edit = "delete rule node-1 512"

    shown = lab.on("explain", "client", "web-0", "--what-if", edit)

    assert f"what if: {edit}" in shown
    assert "facts as planned" in lab.on("verify")


def test_a_large_packet_is_told_with_its_size_and_where_it_does_not_fit(lab: Commands) -> None:
    shown = lab.on("explain", "web-0", "client", "--size", "9001")
    edit = "set link node-1 eth0 mtu 1500"
    predicted = lab.on("explain", "web-0", "client", "--size", "1501", "--what-if", edit, code=1)

    assert "icmp echo-request of 9001 bytes" in shown
    assert "= Predicted and observed agree." in shown
    assert "node-1 sends at most 1500 bytes by eth0" in " ".join(predicted.split())
    assert "68<=x<=65535" in lab.on("explain", "web-0", "client", "--size", "67", code=2)


def test_the_metadata_service_is_asked_for_a_token(lab: Commands) -> None:
    answer = json.loads(lab.on("explain", "web-0", "169.254.169.254", "-o", "json", code=1))

    assert (answer["code"], answer["difference"]) == ("X_IMDS_HOP_LIMIT", None)
    predicted = lab.on("explain", "web-0", "169.254.169.254", "--predict", code=1)
    assert "X_IMDS_HOP_LIMIT" in predicted


def test_a_drawing_and_a_page_stand_alone(lab: Commands) -> None:
    drawing = ElementTree.fromstring(lab.on("explain", "web-0", "client", "-o", "svg"))
    page = lab.on("explain", "web-0", "client", "-o", "html")

    assert drawing.tag.endswith("svg")
    assert page.startswith("<!doctype html>")
    assert ">node-2<" in page


def test_a_wrong_name_is_told_what_there_is(lab: Commands) -> None:
    assert "client" in lab.on("explain", "nobody", "client", code=2)
    assert "web-0" in lab.on("explain", "web-9", "client", code=2)
    assert "web-0" in lab.on("explain", "web-0", "web-9:80", code=2)
    assert "no address" in lab.on("explain", "web-0", "vpc-main", code=2)


def test_an_address_and_a_services_load_balancer_are_names_too(lab: Commands) -> None:
    web_0 = json.loads(lab.on("get", "pods", "web-0", "-o", "json"))[0]["ip"]

    assert "delivered to client" in lab.on("explain", web_0, "client", "--predict")
    assert "faces the internet" in lab.on("explain", "internet", "web", code=2)
    assert "is a Service" in lab.on("path", "client", "web", code=2)
    assert "after the colon" in lab.on("explain", "client", "web-0:http", code=2)


def test_the_matrix_says_why_a_pair_fails(lab: Commands) -> None:
    with dropping(lab):
        result = json.loads(lab.on("matrix", "--explain", "-o", "json", code=1))

    [failed] = [row for row in result["failed"] if row["from"] == "web-0"]
    assert (failed["to"], failed["code"]) == ("client", "X_FIREWALL")
    assert "-j DROP" in failed["why"]


def test_a_dry_run_tells_which_pairs_it_would_change(lab: Commands) -> None:
    assert "0 changed" in lab.run("up", "--dry-run", "--reachability", str(lab.file))

    with dropping(lab):
        healed = lab.run("up", "--dry-run", "--reachability", str(lab.file), "-o", "json")

    changes = json.loads(healed)["changes"]
    assert {(one["from"], one["to"], one["before"], one["after"]) for one in changes} >= {
        ("web-0", "client", "X_FIREWALL", "delivered")
    }


def test_two_files_are_compared_without_a_lab(lab: Commands, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    text = lab.file.read_text(encoding="utf-8")
    other.write_text(text.replace("replicas: 2", "replicas: 3"), encoding="utf-8")

    shown = lab.run("up", "--dry-run", "--against", str(lab.file), "-o", "json", str(other))

    changed = {(one["from"], one["to"], one["before"]) for one in json.loads(shown)["changes"]}
    assert ("web-2", "client", "not in this lab") in changed
    fewer = lab.run("up", "--dry-run", "--against", str(other), str(lab.file)).splitlines()
    assert fewer[0] == "removed: web-2", "not once for each of its pairs"
    assert "--dry-run" in lab.run("up", "--reachability", str(other), code=2)


TWIN = """\
  twin:
    vpc: main
    serviceCidr: 10.100.0.0/16
    nodes: { node-3: { subnet: a, instanceType: t3.small } }
    services: { web: { selector: { app: web }, ports: [80] } }
    pods: { web-9: {}, caller: {} }
"""


def test_of_two_clusters_services_the_callers_own_is_meant(commands: Commands) -> None:
    commands.file.write_text(commands.file.read_text() + TWIN)
    commands.up()

    there = commands.on("explain", "caller", "web", "--predict")
    here = commands.on("explain", "client", "web", "--predict")

    assert "web-9" in there
    assert "10.100.0.2:80" in there
    assert "web-9" not in here
