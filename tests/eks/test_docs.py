"""The settings of the CNI are all documented, and no other ones."""

import re
from pathlib import Path

from pydantic import TypeAdapter

from testbed.eks.environment import CniSettings
from testbed.eks.render import example, render, to_json

DOCS = Path(__file__).parents[2] / "docs"


def first_cells(page: str) -> set[str]:
    """What stands in code in the first column of a page's tables."""
    lines = (DOCS / page).read_text(encoding="utf-8").splitlines()
    cells = [line.split("|")[1] for line in lines if line.startswith("| `")]
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def test_every_variable_has_its_row() -> None:
    known = set(TypeAdapter(CniSettings).dump_python(CniSettings(), by_alias=True))

    told = set(re.findall(r"`([A-Z][A-Za-z0-9_]+)`", (DOCS / "cni.md").read_text("utf-8")))
    assert known - told - first_cells("ipam.md") == set()


def test_no_row_is_of_an_unknown_variable_or_key() -> None:
    known = set(TypeAdapter(CniSettings).dump_python(CniSettings(), by_alias=True))
    keys = set(to_json(render(example())))

    rows = {name for name in first_cells("cni.md") if not name.startswith(("slides", "current"))}
    assert rows == (known & rows) | keys
