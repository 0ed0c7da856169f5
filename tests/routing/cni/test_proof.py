"""`docs/cni-proof.md`: every row has its test, and the matrix is that of the packets."""

import re
from pathlib import Path

import pytest

from testbed.eks.model import Profile
from tests.eks.ipamd.test_timeline import pools, told
from tests.golden.behaviours import functions, named_functions, rows
from tests.routing.cni.test_snat_matrix import MATRIX, TRANSLATED

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "cni-proof.md").read_text(encoding="utf-8")
SECTIONS = {part.partition("\n")[0]: part for part in PAGE.split("\n## ")[1:]}
PROVED = ["Invariants", "A node's whole state", "Lives of packets"]


def test_every_test_that_is_named_is_there() -> None:
    assert named_functions(PAGE) - functions(ROOT / "tests") == set()


@pytest.mark.parametrize("section", PROVED)
def test_every_row_names_its_test(section: str) -> None:
    told_rows = list(rows(SECTIONS[section]))

    assert len(told_rows) > 8
    assert [cells for cells in told_rows if not named_functions(cells[-1])] == []


def test_every_test_of_the_matrix_and_of_the_invariants_has_its_row() -> None:
    tests = ROOT / "tests"
    files = [tests / "routing/cni/test_snat_matrix.py", *tests.rglob("test_invariants.py")]
    texts = [file.read_text(encoding="utf-8") for file in files]
    kept = {name for text in texts for name in re.findall(r"^def (test_\w+)", text, re.MULTILINE)}

    assert len(kept) > 15
    assert kept - named_functions(PAGE) == set()


def test_the_matrix_is_the_one_that_packets_are_sent_through() -> None:
    def left(by: tuple[str, str]) -> str:
        return "eth0, the node's" if by == TRANSLATED else "eth1, its own"

    wanted = {
        name: [_rules(row.rules), left(row.outside), left(row.excluded)]
        for name, row in MATRIX.items()
    }

    assert {name: cells for name, *cells in rows(SECTIONS["The SNAT matrix"])} == wanted


def _rules(lines: list[str]) -> str:
    """`1024, one 1536, 32765`: what the page says of a row's rules."""
    to = [line for line in lines if line.startswith("1536") and " to " in line]
    excluded = ", excluded ones too" if len(to) > 1 else ""
    each = f"1536 to each range{excluded or ' of the VPC'}"
    words = {"1024": "1024", "1536": each if to else "one 1536", "32765": "32765"}
    return ", ".join(dict.fromkeys(words[line.split(":")[0]] for line in lines))


@pytest.mark.parametrize("profile", ["slides", "current"])
def test_the_timeline_is_the_one_that_ipamd_makes(profile: Profile) -> None:
    events = told("10s=1", "20s=10", "30s=19", "40s=28", "100s=0", profile=profile)
    seen = [(pool, enis) for _, pool, enis in pools(events)]

    page = [(pool, int(enis)) for _, pool, enis, _ in rows(SECTIONS["An m5.large over time"])]

    assert len(page) == 8
    assert page == [one for one in seen if one in page]
