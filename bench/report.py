"""Figures beside their targets: as lines, and as the file that a machine reads."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.contests import Reading
from bench.targets import BY_NAME

LATEST = Path(__file__).parent / "out" / "latest.json"


def line(reading: Reading) -> str:
    """`wiring   1.11 x floor   at most 1.25   ok   wiring a pod … (944 us a pod, C 850 us)`."""
    target = BY_NAME[reading.name]
    verdict = "ok" if target.met(reading.value) else "MISSED"
    detail = f" ({reading.detail})" if reading.detail else ""
    return (
        f"{reading.name:17} {reading.value:9.3g} {target.unit:11} {target.bound:8} "
        f"{target.limit:<5g} {verdict:6} {target.text}{detail}"
    )


def as_json(readings: Iterable[Reading]) -> dict[str, Any]:
    """`{"wiring": {"value": 1.11, "target": 1.25, "ok": true, …}}`."""
    return {reading.name: _row(reading) for reading in readings}


def _row(reading: Reading) -> dict[str, Any]:
    target = BY_NAME[reading.name]
    return {
        "value": round(reading.value, 4),
        "target": target.limit,
        "ok": target.met(reading.value),
        "bound": target.bound,
        "unit": target.unit,
        "what": target.text,
        "detail": reading.detail,
        "us_per_pod": reading.us_per_pod,
    }


def write(readings: Iterable[Reading], to: Path) -> None:
    """Leave the figures where the next reader looks."""
    to.parent.mkdir(exist_ok=True)
    to.write_text(json.dumps(as_json(readings), indent=2) + "\n")
