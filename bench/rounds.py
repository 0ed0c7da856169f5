"""Runs side by side: each round has one run of every contender, so that they share the weather."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench import floor, peers
from bench.meter import Numbers

PATIENCE_S = 1800.0
ROOT = Path(__file__).parent.parent


class RunFailed(Exception):
    """A contender ended without numbers; its last words."""


def python(module: str, *arguments: object) -> list[str]:
    """A run in Python: a module that prints its numbers."""
    return [sys.executable, "-m", module, *map(str, arguments)]


def kernel_floor(*counts: int) -> list[str]:
    """The C program that wires so many pods; after that so many on a node, else thirty."""
    return [floor.program("pods"), *map(str, counts)]


def run(argv: Sequence[str]) -> Numbers:
    """The numbers a run prints.  Raises RunFailed."""
    environment = {"PATH": peers.path(), "LC_ALL": "C", "PYTHONDONTWRITEBYTECODE": "1"}
    ended = subprocess.run(
        argv,
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    last = ended.stdout.strip().rpartition("\n")[2]
    if ended.returncode or not last.startswith("{"):
        raise RunFailed(f"{' '.join(argv)}: {ended.stderr.strip()[-2000:] or 'no numbers'}")
    numbers: Numbers = json.loads(last)
    return numbers


@dataclass(frozen=True)
class Results:
    """What every contender did in every round."""

    rounds: tuple[Mapping[str, Numbers], ...]

    def median(self, contender: str, number: str) -> float:
        """The middle one of all rounds."""
        return median(one[contender][number] for one in self.rounds)

    def ratio(self, number: str, contender: str, against: str, other: str = "") -> float:
        """How much more the first has of a number: within each round, then the middle of these.

        other: the number of the second, where it has another name.
        """
        return median(
            one[contender][number] / one[against][other or number] for one in self.rounds
        )


def interleaved(
    contenders: Mapping[str, Sequence[str]], rounds: int, progress: Callable[[str], None]
) -> Results:
    """All contenders, round after round, the last one first by turns.  Raises RunFailed."""
    done: list[Mapping[str, Numbers]] = []
    for number in range(1, rounds + 1):
        results = {}
        for name in [*contenders][:: 1 if number % 2 else -1]:
            progress(f"round {number} of {rounds}: {name}")
            results[name] = run(contenders[name])
        done.append(results)
    return Results(tuple(done))
