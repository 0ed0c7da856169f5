"""The facts each shipped topology is planned into, line by line; `make golden` rewrites them."""

from pathlib import Path

import pytest

from testbed.allocations import allocate
from testbed.daemon.shown.views import order
from testbed.load import load
from testbed.net.show import show
from testbed.plan import plan

GOLDEN = Path(__file__).parent


def printed(topology: Path) -> str:
    """The plan as `ip`, `nft` and `iptables-save` would print it, namespace by namespace."""
    lab = load(topology)
    facts = sorted(plan(lab, allocate(lab)), key=order)
    return "".join(f"{fact.ns}  {line}\n" for fact in facts for line in show(fact).splitlines())


def test_each_topology_is_planned_as_before(topologies: Path, golden_update: bool) -> None:
    for topology in sorted(topologies.glob("*.yaml")):
        golden = GOLDEN / f"{topology.stem}.txt"
        text = printed(topology)
        if golden_update:
            golden.write_text(text)
        if text != golden.read_text():
            pytest.fail(f"{topology.name} is planned otherwise: `make golden`, then read the diff")
