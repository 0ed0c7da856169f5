"""docs/fidelity.md: its tables are what the facts say, and its proofs are there."""

from pathlib import Path

import pytest

from tests.golden.behaviours import functions, named_functions, named_tests, page, rows

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "fidelity.md"
VPC_PAGE = ROOT / "docs" / "vpc.md"
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


@pytest.mark.parametrize("page", [PAGE, VPC_PAGE], ids=lambda path: path.name)
def test_every_test_that_is_named_is_there(page: Path) -> None:
    there = functions(ROOT / "tests")

    assert named_functions(page.read_text(encoding="utf-8")) - there == set()


def test_every_statement_on_the_vpc_names_its_test() -> None:
    statements, _, _ = VPC_PAGE.read_text(encoding="utf-8").partition("## What is refused")
    told = list(rows(statements))

    assert len(told) > 40
    assert [cells for cells in told if not named_functions(cells[-1])] == []
