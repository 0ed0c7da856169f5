"""`python -m bench`: all figures, or those of the contests that are named."""

from pathlib import Path

import click

from bench import report
from bench.contests import (
    FULL,
    QUICK,
    TINY,
    Contest,
    Reading,
    cluster,
    explaining,
    memory,
    others,
    probing,
    wiring,
)
from bench.rounds import RunFailed
from testbed.errors import MissingFeature

CONTESTS: dict[str, Contest] = {
    "wiring": wiring.against_floor,
    "growth": wiring.growth,
    "peers": wiring.against_peers,
    "cluster": cluster.against_floor,
    "memory": memory.memory,
    "probes": probing.against_floor,
    "pingall": probing.against_pingall,
    "rules": others.rules,
    "render": others.render,
    "programs": others.programs,
    "throughput": others.throughput,
    "explain": explaining.explained,
    "predict": explaining.predicted,
    "thousands": cluster.thousands,
}
SIZES = {size.name: size for size in (FULL, QUICK, TINY)}


@click.command()
@click.argument("contests", nargs=-1, type=click.Choice(list(CONTESTS)))
@click.option("--size", type=click.Choice(list(SIZES)), default=FULL.name, show_default=True)
@click.option("--output", type=click.Path(path_type=Path), default=report.LATEST)
def main(contests: tuple[str, ...], size: str, output: Path) -> None:
    """Measure, print each figure beside its target, and write them as JSON.

    Exits 1 when a target is missed or a contest failed.
    """
    readings: list[Reading] = []
    failed = False
    for name in contests or CONTESTS:
        try:
            for reading in CONTESTS[name](SIZES[size], _progress):
                click.echo(report.line(reading))
                readings.append(reading)
        except (RunFailed, MissingFeature) as error:
            click.echo(f"{name}: {error}", err=True)
            failed = True
        report.write(readings, output)
    missed = [name for name, row in report.as_json(readings).items() if not row["ok"]]
    raise SystemExit(1 if failed or missed else 0)


def _progress(text: str) -> None:
    click.echo(f"  {text}", err=True)


if __name__ == "__main__":
    main()
