"""Rows as a table that people can read: columns in line, and no line too long for it."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import click

Row = Mapping[str, Any]
WIDEST = 150  # columns of a terminal: what is longer is folded
NARROWEST = 30  # of a column that is folded
BETWEEN = "   "
PIECE = re.compile(r"[^ ,]*,+ *|[^ ,]+ *| +")  # where a cell may be folded: behind it


def table(rows: Sequence[Row], columns: Sequence[str] = (), *, folded: bool = True) -> str:
    """Rows in columns as wide as their widest cell, kubectl's way; all columns by default.

    folded: cells go on in a further line where the table would be wider than WIDEST.
    """
    if not rows:
        return "there are none"
    columns = columns or list(rows[0])
    cells = [[_cell(row.get(column)) for column in columns] for row in rows]
    shown = [i for i in range(len(columns)) if any(line[i] for line in cells)]
    lines = [[_heading(columns[i]) for i in shown], *([line[i] for i in shown] for line in cells)]
    if folded:
        widths = _fitted(_widths(lines))
        lines = [part for line in lines for part in _parts(line, widths)]
    widths = _widths(lines)
    return "\n".join(BETWEEN.join(map(_padded, line, widths)).rstrip() for line in lines)


def _widths(lines: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(_width, column)) for column in zip(*lines, strict=True)]


def _fitted(widths: list[int]) -> list[int]:
    """The last column gives way, which tells why or where; then whichever is the widest."""
    over = sum(widths) + len(BETWEEN) * (len(widths) - 1) - WIDEST
    if over <= 0:
        return widths
    last = max(min(widths[-1], NARROWEST), widths[-1] - over)
    over -= widths[-1] - last
    fitted = [*widths[:-1], last]
    while over > 0 and max(fitted) > NARROWEST:
        widest = fitted.index(max(fitted))
        fitted[widest] -= 1
        over -= 1
    return fitted


def _parts(line: Sequence[str], widths: Sequence[int]) -> list[list[str]]:
    """One line of cells as the lines that it takes."""
    cells = [*map(_folds, line, widths)]
    height = max(map(len, cells), default=1)
    return [[cell[i] if i < len(cell) else "" for cell in cells] for i in range(height)]


def _folds(cell: str, width: int) -> list[str]:
    """A cell in lines no wider than that, if its words are not."""
    if _width(cell) <= width:
        return [cell]
    lines = [""]
    for piece in PIECE.findall(cell):
        if lines[-1] and len(lines[-1]) + len(piece.rstrip()) > width:
            lines.append("")
        lines[-1] += piece
    return [line.rstrip() for line in lines]


def _width(cell: str) -> int:
    return len(click.unstyle(cell))


def _padded(cell: str, width: int) -> str:
    return cell + " " * (width - _width(cell))


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
