"""docs/fidelity.md: its tables are what the facts say, and its proofs are there."""

from pathlib import Path

import pytest

from tests.golden.behaviours import named_tests, page

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "fidelity.md"
MARK = "<!-- From here on `make golden` writes what the facts' reasons say. -->\n"


def test_the_page_says_what_the_facts_say(topologies: Path, golden_update: bool) -> None:
    """Whoever makes the labs imitate something else sees it in the page's difference."""
    written, mark, told = PAGE.read_text(encoding="utf-8").partition(MARK)
    assert mark, f"{PAGE.name} has lost the line that says where the generated part begins"
    text = f"\n{page(topologies)}"

    if golden_update:
        PAGE.write_text(f"{written}{mark}{text}", encoding="utf-8")
    elif text != told:
        pytest.fail("the facts say something else: `make golden`, then read the difference")


def test_every_proof_that_is_named_is_there() -> None:
    names = list(named_tests(PAGE.read_text(encoding="utf-8")))

    assert names
    assert [name for name in names if not (ROOT / name).is_file()] == []
