"""`docs/lecture.md`: each command of it is run, and prints what one is told to look for."""

import re
from pathlib import Path

import pytest

from tests.cli.conftest import Commands, OnAHost
from tests.cli.forked import run

pytestmark = pytest.mark.kernel

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/lecture.md").read_text(encoding="utf-8")
CODE = re.compile(r"`([^`]+)`")
SAME_LAB = "the same lab"


def labs() -> dict[str, str]:
    """The rows of the page, by the topology that they are shown in."""
    found: dict[str, str] = {}
    for section in PAGE.split("\n## ")[1:]:
        title, rows = section.split("\n", 1)
        file = [*found][-1] if SAME_LAB in title else CODE.findall(title)[0].split()[-1]
        found[file] = found.get(file, "") + rows
    return found


def shown(rows: str) -> list[tuple[list[str], list[str]]]:
    """The commands of some rows, and what to look for in what each prints."""
    cells = [line.split("|") for line in rows.splitlines() if "`testbed " in line]
    return [(CODE.findall(row[2])[0].split()[1:], CODE.findall(row[3])) for row in cells]


@pytest.mark.parametrize("file", labs())
def test_every_command_shows_what_the_slide_does(
    file: str, on_a_host: OnAHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends with 1 where a packet is to die: the reason's code is what to look for."""
    rows = shown(labs()[file])
    assert rows, "premise: the page has rows for it"

    def test(_: Commands) -> None:
        monkeypatch.chdir(ROOT)
        assert run("up", file).code == 0
        try:
            for words, looked_for in rows:
                done = run(*words)
                printed = " ".join(done.output.split())
                assert not [text for text in looked_for if text not in printed], done
                assert done.code == any(text.startswith("X_") for text in looked_for), done
        finally:
            run("down", "--all")

    on_a_host(test)
