"""How the fields of what is described are written."""

from collections.abc import Iterator, Mapping

import click

from testbed.cli.table import table
from testbed.daemon.process.protocol import Json


def field(title: str, value: str) -> str:
    """`IP:         10.0.1.6`"""
    return f"{title + ':':12}{value}"


def labels(given: Mapping[str, str]) -> str:
    """`app=web,tier=front`"""
    return ",".join(f"{key}={is_}" for key, is_ in given.items())


def listed(title: str, rows: list[Json]) -> Iterator[str]:
    """A title, and the rows as a table under it."""
    yield f"{title}:"
    yield from (f"  {line}" for line in table(rows).splitlines())


def reasoned(fact: Json) -> Iterator[str]:
    """What a kernel has, under the reason why."""
    if fact["why"]:
        yield click.style(f"  # {fact['why']}", dim=True)
    yield f"  {fact['text']}"
