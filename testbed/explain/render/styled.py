"""Lines of text in named styles, laid out on a given width, for terminals and for HTML."""

import html
import re
import textwrap
from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

Style = Literal["", "name", "good", "bad", "warn", "quiet", "strong"]

# ECMA-48 "select graphic rendition": bold, faint and the colours every terminal has
SGR: dict[Style, str] = {
    "name": "1",
    "good": "32;1",
    "bad": "31;1",
    "warn": "33;1",
    "quiet": "2",
    "strong": "36",
}


class Span(NamedTuple):
    """A piece of a line in one style."""

    text: str
    style: Style = ""


Line = tuple[Span, ...]

GLUE = "\N{NO-BREAK SPACE}"  # textwrap breaks at no blank but the plain ones
# a quoted comment, an option and its value, an arrow and what it leads to
TOGETHER = re.compile(r'"[^"]*"|(?:! )?--?[a-z][\w-]* (?=[^\s!-])|[→⇒↳✓✗=] |\bttl ')


def length(line: Line) -> int:
    """How many columns a line takes."""
    return sum(len(span.text) for span in line)


def fold(text: str, width: int, hang: int = 0) -> list[str]:
    """`text` in pieces of at most `width` columns; all but the first are indented by `hang`.

    What belongs together stays together where it fits: `-j CHAIN`, `"a comment"`, `ttl 64`.
    """
    folded = textwrap.wrap(
        TOGETHER.sub(lambda match: match[0].replace(" ", GLUE), text),
        max(width, 8),
        subsequent_indent=" " * hang,
        break_on_hyphens=False,
        break_long_words=True,
    )
    return [piece.replace(GLUE, " ") for piece in folded] or [""]


def plain(lines: Iterable[Line]) -> str:
    """Text alone."""
    return "\n".join("".join(span.text for span in line).rstrip() for line in lines) + "\n"


def ansi(lines: Iterable[Line]) -> str:
    """Text with the escape sequences of a terminal."""
    return "\n".join("".join(map(_coloured, _trimmed(line))) for line in lines) + "\n"


def _trimmed(line: Line) -> Line:
    """Without the blanks at its end."""
    while line and not line[-1].text.rstrip():
        line = line[:-1]
    return (*line[:-1], Span(line[-1].text.rstrip(), line[-1].style)) if line else ()


def _coloured(span: Span) -> str:
    return f"\033[{SGR[span.style]}m{span.text}\033[0m" if span.style else span.text


def marked_up(lines: Iterable[Line]) -> str:
    """Text for an HTML `pre`: each span has its style as a class."""
    return "\n".join("".join(map(_tagged, _trimmed(line))) for line in lines) + "\n"


def _tagged(span: Span) -> str:
    text = html.escape(span.text, quote=False)
    return f'<span class="{span.style}">{text}</span>' if span.style else text


SPINE = Span("│ ", "quiet")
LABEL = 8  # columns of a label; below NARROW it stands on a line of its own
NARROW = 56


class Paper:
    """A width, and how things are laid out on it."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.narrow = width < NARROW
        self.label = 2 if self.narrow else LABEL

    def sides(self, mark: Span, left: Span, right: Span, spine: Span) -> Iterator[Line]:
        """Two things at the two margins; on narrow paper the right one below the left."""
        room = self.width - length((mark, left, right))
        if room >= 2:
            yield mark, left, Span(" " * room), right
            return
        yield mark, left
        for piece in fold(right.text, self.width - len(spine.text)):
            yield spine, Span(piece, right.style)

    def entry(self, label: str, content: str, style: Style = "", hang: int = 2) -> Iterator[Line]:
        """A label (empty: the one above goes on) and text beside the spine."""
        if label and self.narrow:
            yield SPINE, Span(label, "quiet")
        shown = "" if self.narrow else label
        indent = len(content) - len(content.lstrip())
        room = self.width - len(SPINE.text) - self.label - indent
        for piece in fold(content.lstrip(), room, hang):
            yield SPINE, Span(shown.ljust(self.label), "quiet"), Span(" " * indent + piece, style)
            shown = ""

    def why(self, reason: str) -> Iterator[Line]:
        """The reason behind what stands above."""
        indent = " " * (self.label + 2)
        for piece in fold(f"↳ {reason}", self.width - len(SPINE.text) - len(indent), hang=2):
            yield SPINE, Span(f"{indent}{piece}", "quiet")

    def noted(self, mark: str, style: Style, content: str, rest: Style = "") -> Iterator[Line]:
        """A sentence behind a mark, outside the spine."""
        for number, piece in enumerate(fold(content, self.width - len(mark))):
            yield Span(mark if number == 0 else " " * len(mark), style), Span(piece, rest)
