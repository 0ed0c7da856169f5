"""The life of a packet: how long the answer takes."""

from bench.contests import Progress, Reading, Readings, Size
from bench.rounds import interleaved, python


def explained(size: Size, progress: Progress) -> Readings:
    """A real packet followed, asked of the daemon."""
    argv = python("bench.runs.explaining", "explain", size.nodes, size.pods_on_node)
    found = interleaved({"explain": argv}, size.rounds, progress)
    yield Reading("explain", found.median("explain", "small_ms"))
    yield Reading("explain-large", found.median("explain", "large_ms"))


def predicted(size: Size, progress: Progress) -> Readings:
    """All pairs, without sending anything."""
    argv = python("bench.runs.explaining", "pairs", *size.predicted)
    found = interleaved({"pairs": argv}, 1, progress)
    detail = f"{found.median('pairs', 'pairs'):,.0f} predictions"
    yield Reading("predict", found.median("pairs", "pairs_s"), detail)
