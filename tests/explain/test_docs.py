"""`docs/explain.md` lists every reason code as the code has it."""

from pathlib import Path

from testbed.explain.reasons import REASONS

DOCS = Path(__file__).parents[2] / "docs"


def test_every_reason_code_has_its_row() -> None:
    """The rows to write are the ones this prints when it fails."""
    written = (DOCS / "explain.md").read_text(encoding="utf-8").splitlines()
    rows = [
        f"| `{one.code}` | {'AWS' if one.is_aws else 'ours'} | {one.sentence} | {one.advice} |"
        for one in REASONS.values()
    ]

    assert [line for line in written if line.startswith(("| `X_", "| `")) and line in rows] == rows


def test_no_row_is_of_a_code_that_is_gone() -> None:
    written = (DOCS / "explain.md").read_text(encoding="utf-8")
    table = written.partition("## Reason codes")[2]
    codes = [line.split("`")[1] for line in table.splitlines() if line.startswith("| `")]

    assert codes == list(REASONS)
