"""`docs/failures.md` names tests and reason codes that exist."""

import re
from pathlib import Path

import pytest

from testbed.explain.reasons import REASONS

TESTS = Path(__file__).parent
DOCS = TESTS.parent / "docs" / "failures.md"
CODE = re.compile(r"`([A-Z]+_[A-Z0-9_]+)`")


def _rows() -> list[list[str]]:
    """The cells of each row that names a test."""
    lines = DOCS.read_text(encoding="utf-8").splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")]
    return [row for row in rows if row[-1].startswith("`test_")]


ROWS = _rows()


@pytest.fixture(scope="module")
def defined() -> frozenset[str]:
    """The names of all tests."""
    texts = (file.read_text(encoding="utf-8") for file in TESTS.rglob("test_*.py"))
    return frozenset(
        name for text in texts for name in re.findall(r"^def (test_\w+)", text, re.MULTILINE)
    )


def test_there_are_rows() -> None:
    assert len(ROWS) > 20


@pytest.mark.parametrize("row", ROWS, ids=[row[-1].strip("`") for row in ROWS])
def test_a_failure_has_its_test_and_known_codes(row: list[str], defined: frozenset[str]) -> None:
    seen, upstream, made_by, named, test = row

    assert all((seen, upstream, made_by, named))
    assert test.strip("`") in defined
    assert set(CODE.findall(named)) <= set(REASONS)
