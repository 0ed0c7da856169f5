"""Topology files as arguments of verbs."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from testbed.lab import Lab  # heavy: only for those who read a file

FILE = click.Path(path_type=Path)


def loaded(file: Path, name: str | None) -> "Lab":
    """The lab a file describes, under another name where one is given."""
    from testbed.load import load, renamed

    lab = load(file)
    return lab if name is None else renamed(lab, name)


def is_file(given: str) -> bool:
    """Whether these words are a topology file's path rather than a lab's name."""
    return given.endswith((".yaml", ".yml", ".py")) or ("/" in given and Path(given).exists())
