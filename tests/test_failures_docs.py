"""`docs/failures.md` and `docs/failures-kops.md` name tests and reason codes that exist."""

import re
from pathlib import Path

import pytest

from testbed.explain.reasons import REASONS

TESTS = Path(__file__).parent
DOCS = sorted((TESTS.parent / "docs").glob("failures*.md"))
CODE = re.compile(r"`([A-Z]+_[A-Z0-9_]+)`")


def _rows() -> dict[str, list[str]]:
    """The cells of each row that names a test, by page and test."""
    rows = {}
    for page in DOCS:
        for line in page.read_text(encoding="utf-8").splitlines():
            cells = line.strip("| ").split(" | ")
            if line.startswith("| ") and cells[-1].startswith("`test_"):
                rows[f"{page.stem}: {cells[-1].strip('`')}"] = cells
    return rows


ROWS = _rows()


@pytest.fixture(scope="module")
def defined() -> frozenset[str]:
    """The names of all tests."""
    texts = (file.read_text(encoding="utf-8") for file in TESTS.rglob("test_*.py"))
    return frozenset(
        name for text in texts for name in re.findall(r"^def (test_\w+)", text, re.MULTILINE)
    )


def test_there_are_rows() -> None:
    assert len(ROWS) > 40


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_a_failure_has_its_test_and_known_codes(row: list[str], defined: frozenset[str]) -> None:
    seen, upstream, made_by, named, test = row

    assert all((seen, upstream, made_by, named))
    assert test.strip("`") in defined
    assert set(CODE.findall(named)) <= set(REASONS)
