"""ipam: what ipamD decides, without any lab."""

import json
import sys
from pathlib import Path

import click

from testbed.errors import DescriptionError, Where


@click.group("ipam")
def ipam_() -> None:
    """Ask ipamD, without any lab."""


@ipam_.command("decide")
@click.option(
    "-f",
    "--file",
    type=click.Path(path_type=Path),
    required=True,
    metavar="STATE.json",
    help="The data store and the settings; - is standard input.",
)
def decide_(file: Path) -> None:
    """Print as JSON what ipamD's next pass asks of EC2, and which address the next pod gets.

    docs/ipam.md describes what goes in and what comes out.
    """
    from testbed.eks.ipamd.asked.answer import answer
    from testbed.eks.ipamd.asked.read import parse

    click.echo(json.dumps(answer(parse(_text(file), str(file))), indent=2))


def _text(file: Path) -> str:
    """The file's text.  Raises DescriptionError when it cannot be read."""
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except OSError as refused:
        raise DescriptionError(f"{refused.strerror}", Where(str(file))) from refused
    except UnicodeDecodeError as wrong:
        raise DescriptionError("this is no UTF-8 text", Where(str(file))) from wrong
