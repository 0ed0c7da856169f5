"""Ways to write the same objects down: YAML has many, and JSON is one of them."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import yaml

Objects = Sequence[Any]


def block(objects: Objects) -> str:
    """As kubectl prints them."""
    return yaml.safe_dump_all(objects, allow_unicode=True, sort_keys=False)


def flow(objects: Objects) -> str:
    """All on a line each, in brackets."""
    return yaml.safe_dump_all(objects, default_flow_style=True, width=10_000, explicit_end=True)


def quoted(objects: Objects) -> str:
    """Every scalar in quotes: numbers and booleans get a tag, which the testbed refuses."""
    return yaml.safe_dump_all(objects, default_style='"')


def as_json(objects: Objects) -> str:
    """What an API server answers."""
    return "\n---\n".join(json.dumps(one, indent=1, default=str) for one in objects)


def as_list(objects: Objects) -> str:
    """One document, `kind: List`."""
    return block([{"apiVersion": "v1", "kind": "List", "items": list(objects)}])


def of_another_system(objects: Objects) -> str:
    """A byte order mark, CR LF, and documents of nothing around."""
    return "\ufeff---\r\n# nothing\r\n---\r\n" + block(objects).replace("\n", "\r\n") + "---\r\n"


def with_aliases(objects: Objects) -> str:
    """A List whose first object is an anchor, and is there once more."""
    return as_list([*objects, objects[0]])


def with_comments(objects: Objects) -> str:
    """A comment behind each line, unless it ends a block of text."""
    return "".join(
        f"{line} # {number}\n" for number, line in enumerate(block(objects).split("\n"))
    )


def indented(objects: Objects) -> str:
    """Eight blanks a step."""
    return yaml.safe_dump_all(objects, indent=8, explicit_start=True)


SPELLINGS: tuple[Callable[[Objects], str], ...] = (
    block,
    flow,
    quoted,
    as_json,
    as_list,
    of_another_system,
    with_aliases,
    with_comments,
    indented,
)
