"""clients: the table of who is seen, for the setting as it is and for every one."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Commands

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def hybrid(tmp_path_factory: pytest.TempPathFactory, topologies: Path) -> Iterator[Commands]:
    """`topologies/hybrid.yaml`, up under a name of its own."""
    given = Commands(tmp_path_factory.mktemp("hybrid"))
    given.run("up", str(topologies / "hybrid.yaml"), "--name", given.name)
    yield given
    given.down()


def test_every_setting_is_asked_and_the_lab_is_as_before(hybrid: Commands) -> None:
    rows = json.loads(hybrid.on("clients", "--every-setting", "-o", "json"))

    assert len(rows) == 3 * 4 * 3
    assert all(row["agrees"] for row in rows)
    seen = {(row["setting"], row["from"], row["to"]): row["is"] or row["code"] for row in rows}
    assert seen["SNAT", "private-1", "desk"] == "node"
    assert seen["EXTERNALSNAT", "private-1", "desk"] == "pod"
    assert seen["EXTERNALSNAT", "public-0", "internet"] == "IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS"
    assert "as planned" in hybrid.on("verify")


def test_the_table_has_a_line_for_each_pod_and_a_column_for_each_server(hybrid: Commands) -> None:
    shown = hybrid.on("clients").splitlines()

    assert shown[0].split("  ")[-1].strip() == "INTERNET (INTERNET)"
    assert [line.split()[3] for line in shown[1:5]] == [
        "private-0",
        "private-1",
        "public-0",
        "public-1",
    ]
    assert shown[-1].startswith("12 of 12 connections as predicted")


def test_a_connection_that_does_otherwise_is_told(hybrid: Commands) -> None:
    """The kernel was changed by hand: what is seen is not what the plan predicts."""
    save = ["iptables", "-t", "nat", "-I", "POSTROUTING", "-d", "192.168.0.0/16", "-j", "RETURN"]
    undo = ["-D" if word == "-I" else word for word in save]

    hybrid.on("exec", "node-1", "--", *save)
    try:
        shown = hybrid.on("clients", code=1)
    finally:
        hybrid.on("exec", "node-1", "--", *undo)
    assert "private-0 to desk, as it is: predicted 10.0.1.4" in shown
    assert "10 of 12 connections as predicted" in shown


@pytest.mark.parametrize("kind", ["instances", "peerings", "connections", "hosts", "routetables"])
def test_the_networks_around_are_listed(hybrid: Commands, kind: str) -> None:
    rows = json.loads(hybrid.on("get", kind, "-o", "json"))

    assert all(row["name"] for row in rows)
    assert hybrid.on("get", kind).splitlines()[0].startswith("NAME")
