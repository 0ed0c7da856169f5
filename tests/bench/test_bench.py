"""The benchmark's machinery, on sizes that say nothing about speed."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from bench import peers, report
from bench.contests import FULL, Progress, Reading, wiring
from bench.rounds import Results, interleaved
from bench.targets import BY_NAME, TARGETS
from bench.wiring.testbed import check

ROOT = Path(__file__).parents[2]


def test_a_ratio_compares_runs_of_one_round() -> None:
    """The machine was slow in the second round, for both: no reason to believe in a difference."""
    found = Results(
        (
            {"floor": {"s": 1.0}, "testbed": {"s": 1.1}},
            {"floor": {"s": 3.0}, "testbed": {"s": 3.3}},
            {"floor": {"s": 1.0}, "testbed": {"s": 1.2}},
        )
    )

    assert found.ratio("s", "testbed", "floor") == pytest.approx(1.1)
    assert found.median("floor", "s") == 1.0


def test_contenders_take_turns_in_going_first() -> None:
    """Who comes second finds a warmer machine, and the rest of the first one's work."""
    contenders = {name: [sys.executable, "-S", "-c", "print('{}')"] for name in ("a", "b")}
    said: list[str] = []

    interleaved(contenders, 3, said.append)

    assert [text[-1] for text in said] == ["a", "b", "b", "a", "a", "b"]


def test_slow_peers_have_fewer_rounds_and_are_compared_with_us_in_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """300 pods take Mininet 14 seconds; `ip -batch` takes two, and is near its bound."""
    asked: dict[str, int] = {}

    def ran(contenders: Iterable[str], rounds: int, _progress: Progress) -> Results:
        asked.update(dict.fromkeys(contenders, rounds))
        return Results(({name: {"build_s": 1.0} for name in contenders},))

    monkeypatch.setattr(wiring, "interleaved", ran)
    monkeypatch.setattr(peers, "missing", list)

    found = [reading.name for reading in wiring.against_peers(FULL, print)]

    assert sorted(found) == ["ip-batch", "mininet", "pyroute2"]
    assert asked.pop("testbed") == asked.pop("ip-batch") == FULL.short_rounds
    assert asked == {"mininet": FULL.rounds, "pyroute2": FULL.rounds}


@pytest.mark.parametrize(
    ("name", "value", "ok"),
    [("wiring", 1.2, True), ("wiring", 1.3, False), ("mininet", 30, True), ("mininet", 20, False)],
)
def test_a_figure_is_ok_on_the_right_side_of_its_target(name: str, value: float, ok: bool) -> None:
    """Some may not grow, others may not shrink."""
    [row] = report.as_json([Reading(name, value)]).values()

    assert (row["value"], row["target"], row["ok"]) == (value, BY_NAME[name].limit, ok)
    assert ("ok" if ok else "MISSED") in report.line(Reading(name, value))


def test_figures_have_different_names() -> None:
    """The JSON file is keyed by them."""
    assert len(BY_NAME) == len(TARGETS)


@pytest.mark.kernel
def test_what_is_measured_is_what_is_wanted() -> None:
    """No shortcut: the wiring that is timed reads back as planned."""
    check(7)


@pytest.mark.kernel
@pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler")
def test_the_quick_run_works_on_tiny_sizes(tmp_path: Path) -> None:
    """From compiling the floor to the file of figures; whether targets are met is not asked."""
    file = tmp_path / "latest.json"
    options = ["--size", "tiny", "--output", str(file)]
    argv = [sys.executable, "-m", "bench", "wiring", "probes", "render", *options]
    ended = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)

    assert ended.returncode in (0, 1), ended.stderr
    figures = json.loads(file.read_text())
    assert figures.keys() == {"wiring", "teardown", "icmp", "tcp", "render"}, ended.stderr
    assert all(row["value"] > 0 for row in figures.values())
