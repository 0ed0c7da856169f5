"""`python -m bench.page`: the last run into docs/performance.md, and its charts beside it."""

import json
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench import charts
from bench.report import LATEST

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "performance.md"
BEGIN, END = "<!-- figures: written by bench/page.py -->", "<!-- end of figures -->"
PEERS = ("mininet", "ip-batch", "pyroute2")

Figures = dict[str, dict[str, Any]]


def main() -> None:
    """Rewrite what stands between the two marks, and the charts there are numbers for."""
    figures: Figures = json.loads(LATEST.read_text())
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    written = "\n".join([BEGIN, "", *_table(figures), "", END])
    PAGE.write_text(before + written + after)
    if "growth" in figures:
        drawn = charts.lines("Wiring a pod: µs over pods", figures["growth"]["us_per_pod"])
        (DOCS / "performance-growth.svg").write_text(drawn)
    if peers := _us(figures):
        (DOCS / "performance-peers.svg").write_text(charts.bars("The same pods, µs each", peers))


def _table(figures: Figures) -> Iterator[str]:
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 30
    yield f"Linux {platform.release()}, {os.cpu_count()} CPUs, {memory} GiB, Python "
    yield f"{platform.python_version()}; {_busy()}."
    yield ""
    yield "| figure | measured | target | | |"
    yield "|---|---|---|---|---|"
    for name, row in figures.items():
        met = "ok" if row["ok"] else "**missed**"
        value = f"{_three_digits(row['value'])} {row['unit']}"
        target = f"{row['bound']} {row['target']:g}"
        detail = f"{row['what']}: {row['detail']}" if row["detail"] else row["what"]
        yield f"| `{name}` | {value} | {target} | {met} | {detail} |"


def _three_digits(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def _busy() -> str:
    """How much else the machine did, so that nobody takes seconds for more than they are."""
    load = os.getloadavg()[2]
    return f"{load:.1f} processes wanted a CPU at a time in the last quarter of an hour"


def _us(figures: Figures) -> dict[str, float]:
    found: dict[str, float] = {}
    for name in PEERS:
        for contender, line in figures.get(name, {}).get("us_per_pod", {}).items():
            found[contender] = line[-1][1]
    return found


if __name__ == "__main__":
    main()
