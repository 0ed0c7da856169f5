"""How results are printed: tables for people, JSON and YAML for programs."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

import click

from testbed.cli.table import table
from testbed.errors import CheckFailed


def emit(value: Any, output: str, columns: Sequence[str] = ()) -> None:
    """Print rows as a table of these columns (all by default), or any value as JSON or YAML.

    output: table, wide, json or yaml.
    """
    if output == "json":
        click.echo(json.dumps(value, indent=2))
    elif output == "yaml":
        import yaml

        click.echo(yaml.safe_dump(value, sort_keys=False), nl=False)
    else:
        click.echo(table(value, columns, folded=output != "wide"))


def mark(ok: bool) -> str:
    """`ok` or `FAILED`, coloured on a terminal."""
    return click.style("ok", fg="green") if ok else click.style("FAILED", fg="red", bold=True)


def difference_lines(difference: Mapping[str, Any]) -> Iterator[str]:
    """A line for each fact to write or remove: `+ node-1: 1536: from …`."""
    for sign, kind in (("+", "add"), ("-", "remove")):
        for fact in difference.get(kind, ()):
            yield f"{sign} {fact['ns']}: {fact['text']}"


def print_difference(difference: Mapping[str, Any]) -> None:
    """Its lines, and how many facts it writes and removes."""
    for line in difference_lines(difference):
        click.echo(line)
    click.echo(f"{len(difference['add'])} to write, {len(difference['remove'])} to remove")


def end(good: bool) -> NoReturn:
    """Leave with 0, or with the exit code of a check whose answer is no."""
    sys.exit(0 if good else CheckFailed.exit_code)


def note(text: str) -> None:
    """Progress and advice: to standard error, so that results can be piped."""
    click.echo(text, err=True)
