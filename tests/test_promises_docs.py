"""`docs/promises.md` names tests that exist, and each guarantee's test is named there."""

import re
from pathlib import Path

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "promises.md").read_text(encoding="utf-8")
NAMED = re.findall(r"\| `(test_\w+)` \|$", PAGE, re.MULTILINE)
TEST = re.compile(r"^def (test_\w+)", re.MULTILINE)


def test_every_promise_has_a_test_that_exists() -> None:
    defined = {
        name
        for file in TESTS.rglob("test_*.py")
        for name in TEST.findall(file.read_text(encoding="utf-8"))
    }

    assert len(NAMED) > 40
    assert set(NAMED) <= defined


def test_every_test_of_a_promise_is_on_the_page() -> None:
    kept = {
        name
        for file in (TESTS / "routing" / "services").glob("test_guarantees*.py")
        for name in TEST.findall(file.read_text(encoding="utf-8"))
    }

    assert kept <= set(NAMED)
