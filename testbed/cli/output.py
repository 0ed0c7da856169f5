"""How results are printed: tables for people, JSON and YAML for programs."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click

Row = Mapping[str, Any]


def emit(value: Any, output: str, columns: Sequence[str] = ()) -> None:
    """Print rows as a table of these columns (all by default), or any value as JSON or YAML."""
    if output == "json":
        click.echo(json.dumps(value, indent=2))
    elif output == "yaml":
        import yaml

        click.echo(yaml.safe_dump(value, sort_keys=False), nl=False)
    else:
        click.echo(table(value, columns))


def table(rows: Sequence[Row], columns: Sequence[str] = ()) -> str:
    """Rows in columns as wide as their widest cell, kubectl's way."""
    if not rows:
        return "there are none"
    columns = columns or list(rows[0])
    cells = [[_heading(column) for column in columns]]
    cells += [[_cell(row.get(column)) for column in columns] for row in rows]
    shown = [i for i in range(len(columns)) if any(line[i] for line in cells[1:])]
    widths = {i: max(len(click.unstyle(line[i])) for line in cells) for i in shown}
    return "\n".join(
        "   ".join(_padded(line[i], widths[i]) for i in shown).rstrip() for line in cells
    )


def _padded(cell: str, width: int) -> str:
    return cell + " " * (width - len(click.unstyle(cell)))


def _heading(column: str) -> str:
    return "".join(f"-{letter}" if letter.isupper() else letter for letter in column).upper()


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case list() | tuple():
            return ",".join(_cell(item) for item in value)
        case dict():
            return "->".join(_cell(item) for item in value.values())
        case _:
            return str(value).replace("\t", " ")  # of `ip rule`: a column has one width


def mark(ok: bool) -> str:
    """`ok` or `FAILED`, coloured on a terminal."""
    return click.style("ok", fg="green") if ok else click.style("FAILED", fg="red", bold=True)


def note(text: str) -> None:
    """Progress and advice: to standard error, so that results can be piped."""
    click.echo(text, err=True)
