"""A Problem: something in a topology that cannot be, where it stands, and the words to say it."""

import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

from testbed.errors import AwsError, DescriptionError, Where, printable

LONGEST_LABEL = 63  # RFC 1123: characters of a DNS label
MOST_SHOWN = 16  # names offered in one message
LONGEST_SHOWN = 60  # characters of a value quoted in a message
LONGEST_KEY = 120  # characters of a key: annotations' names are told whole

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Problem:
    """What is wrong at a path of names and list indexes: `("vpcs", "main", "cidrs", 0)`.

    code: AWS's own, where AWS would refuse the same.
    """

    path: Path
    message: str
    code: str = ""

    @property
    def key(self) -> str:
        """The path as one reads it: `vpcs.main.cidrs[0]`."""
        return spelt(self.path)

    def under(self, *path: str | int) -> "Problem":
        """The same problem of a thing that is itself at `path`."""
        return replace(self, path=(*path, *self.path))

    def error(self, file: str = "", line: int = 0) -> DescriptionError:
        """The exception that tells the user."""
        where = Where(file, line, self.key)
        if self.code:
            return AwsError(self.code, self.message, where)
        return DescriptionError(self.message, where)


Problems = Iterator[Problem]


def spelt(path: Path) -> str:
    """`vpcs.main.cidrs[0]`; a name that is no plain word stands in brackets and quotes."""
    return "".join(_step(step) for step in path).removeprefix(".")


def _step(step: str | int) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    return f".{step}" if re.fullmatch(r"[\w-]+", step) else f"[{quoted(step, LONGEST_KEY)}]"


def quoted(text: str, longest: int = LONGEST_SHOWN) -> str:
    """The text in double quotes, on one line, not too long, printable anywhere."""
    return printable(json.dumps(shortened(text, longest), ensure_ascii=False))


def shortened(text: str, longest: int) -> str:
    """The text, or its beginning and `…`."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def found(value: Any) -> str:
    """What was written instead of what was expected: `the number 7`, `"x"`, `a list`."""
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case int():
            return f"the number {value}"
        case str():
            return quoted(value)
        case list() | tuple():
            return "a list" if value else "an empty list"
        case dict():
            return "a map" if value else "an empty map"
    return f"a {type(value).__name__}"


def nearest(word: str, known: Collection[str], most: int = 1) -> str:
    """`; did you mean "subnet"?` when one of the known words is close, else nothing.

    most: as many are offered where several are.
    """
    close = [quoted(one) for one in get_close_matches(word, known, n=most)]
    return f"; did you mean {' or '.join(close)}?" if close else ""


def unknown(kind: str, word: str, known: Collection[str]) -> str:
    """There is no such thing of that kind; the nearest that is there, else what there is."""
    message = f"there is no {kind} {quoted(word)}"
    if meant := nearest(word, known):
        return message + meant
    shown = ", ".join(sorted(known)[:MOST_SHOWN]) or "none"
    return f"{message}; known: {shown}{', …' if len(known) > MOST_SHOWN else ''}"


def names(path: Path, name: str, longest: int = LONGEST_LABEL) -> Problems:
    """What keeps a name from being a DNS label (RFC 1123), as Kubernetes wants its names."""
    if len(name) > longest:
        yield Problem(path, f"the name has {len(name)} characters; at most {longest} are allowed")
    elif not re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", name):
        rule = 'use a-z, 0-9 and "-", with a letter or digit first and last'
        yield Problem(path, f"{quoted(name)} cannot be a name; {rule}")
