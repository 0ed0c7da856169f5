"""Pydantic's errors as Problems, in the words and with the names of a topology's author.

Pydantic says `('vpcs', 0, 'subnets', 2, 'cidr')`; the author wrote `vpcs.main.subnets.web.cidr`.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, is_dataclass, replace
from types import NoneType
from typing import Annotated, Any, get_args, get_origin

from pydantic import Tag, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from testbed.description import REFUSED, Named, RefusedWith
from testbed.description.problem import MOST_SHOWN, Path, Problem, found, nearest, quoted

UNKNOWN_KEYS = ("unexpected_keyword_argument", "unexpected_positional_argument")
EXPECTED = {
    "string_type": "text",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "dataclass_type": "a map",
    "dict_type": "a map",
    "greater_than": "a number above {gt}",
    "greater_than_equal": "a number from {ge} on",
    "less_than_equal": "a number up to {le}",
    "too_short": "{min_length} or more entries",
    "string_too_short": "at least {min_length} characters",
    "string_too_long": "at most {max_length} characters",
}

# What AWS's API would refuse with a code: values, not a file's shape
OF_VALUES = (REFUSED, "literal_error", "greater_than_equal", "less_than_equal")

OfUnknownKey = Callable[[str, Collection[str]], str]


@dataclass(frozen=True)
class Place:
    """A value in the author's data: its path, and what should stand there."""

    path: Path
    kind: Any  # a class of the model, `tuple[Vpc, ...]`, `str`
    data: Any
    named: Named | None = None  # of this list, or of the list this is an entry of
    in_map: bool = False  # an entry whose name is the key of a map
    called: bool = False  # the arguments of a Python call
    code: str = ""  # AWS's, for a value that cannot stand there


def unknown_key(key: str, allowed: Collection[str]) -> str:
    """What is said of a key that is not allowed; of very many that are, only the nearest."""
    message = f"unknown key {quoted(key)}"
    meant = nearest(key, allowed)
    if not allowed or (meant and len(allowed) > MOST_SHOWN):
        return message + meant
    return f"{message}{meant or ';'} allowed: {', '.join(allowed)}"


def in_file(
    error: ValidationError, kind: Any, data: Any, of_unknown_key: OfUnknownKey = unknown_key
) -> Problem:
    """What is wrong with a file's `data` as a `kind`."""
    return _first(error, Place((), kind, data), of_unknown_key)


def in_call(error: ValidationError, root: Any) -> Problem:
    """What is wrong with the call of one of the classes that `root` is made of."""
    kinds = (kind for kind in _classes(root) if kind.__name__ == error.title)
    return _first(error, Place((error.title,), next(kinds, None), None, called=True))


def _first(
    error: ValidationError, root: Place, of_unknown_key: OfUnknownKey = unknown_key
) -> Problem:
    """The first mistake; an unknown key comes first, for it explains a missing one."""
    details = error.errors(include_url=False)
    detail = min(details, key=lambda detail: detail["type"] not in UNKNOWN_KEYS)
    *parents, last = detail["loc"] or ("",)
    if detail["type"] in UNKNOWN_KEYS:
        parent = _place(parents, root)
        return Problem((*parent.path, last), of_unknown_key(str(last), _keys(parent)))
    place = _place(detail["loc"], root)
    if detail["type"] == "union_tag_invalid":
        expected = " or ".join(quoted(str(tag)) for tag in _tagged(place.kind))
        written = found(detail["ctx"]["tag"])
        return Problem((*place.path, "kind"), f"expected {expected}, found {written}")
    if detail["type"] == REFUSED:
        context = detail["ctx"]
        return Problem((*place.path, *context["path"]), context["message"], place.code)
    code = place.code if detail["type"] in OF_VALUES else ""
    return Problem(place.path, _message(detail, place), code)


def _message(detail: ErrorDetails, place: Place) -> str:
    """What was expected, and what was found."""
    written = detail["input"]
    match detail["type"]:
        case "missing" | "missing_argument":
            return "this key is missing"
        case "tuple_type":
            expected = "a map" if place.named else "a list"
        case "literal_error":
            expected = detail["ctx"]["expected"].replace("'", '"')
        case known if known in EXPECTED:
            expected = EXPECTED[known].format(**detail.get("ctx", {}))
        case _:
            return f"{detail['msg']}, found {found(written)}"
    quote = " (in quotes it is text)" if expected == "text" and isinstance(written, int) else ""
    choices = [str(choice) for choice in get_args(place.kind)]
    meant = nearest(written, choices) if isinstance(written, str) else ""
    return f"expected {expected}, found {found(written)}{quote}{meant}"


def _place(loc: Sequence[str | int], place: Place) -> Place:
    """The value at pydantic's `loc` below a place."""
    for step in loc:
        if step in (kinds := _tagged(place.kind)):
            place = replace(place, kind=kinds[step])
        elif isinstance(step, int) and not place.called:
            place = _entry(place, step)
        else:
            place = _value(place, step)
    return place


def _tagged(kind: Any) -> dict[str | int, Any]:
    """The classes that a union chooses from by a tag, which pydantic makes a step of `loc`."""
    members = [get_args(member) for member in get_args(kind) if get_origin(member) is Annotated]
    return {note.tag: one for one, *notes in members for note in notes if isinstance(note, Tag)}


def _entry(place: Place, index: int) -> Place:
    """An entry of a list, by its name if it has one."""
    items = place.named.entries(place.data) if place.named else place.data
    item = items[index] if isinstance(items, list | tuple) and index < len(items) else None
    name = item.get(place.named.key) if place.named and isinstance(item, Mapping) else None
    kind = (get_args(place.kind) or (None,))[0]
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    step = name if isinstance(name, str) else index
    in_map = isinstance(place.data, Mapping)
    return Place((*place.path, step), kind, item, place.named, in_map)


def _value(place: Place, key: str | int) -> Place:
    """The value of a key or argument; what a map leaves out, its key say, is not in the path."""
    fields = list(_fields(place.kind).items())
    if isinstance(key, int):  # a positional argument
        name, field = fields[key] if key < len(fields) else (key, None)
    else:
        name, field = next((one for one in fields if key in (one[0], one[1].alias)), (key, None))
    left_out = place.in_map and place.named and key in (place.named.key, place.named.short)
    written = field.alias if field and not place.called else name
    path = place.path if left_out else (*place.path, written or name)
    data = place.data.get(key) if isinstance(place.data, Mapping) else None
    metadata = field.metadata if field else []
    declared = next((one for one in metadata if isinstance(one, Named)), None)
    code = next((one.code for one in metadata if isinstance(one, RefusedWith)), "")
    return Place(path, _present(field.annotation) if field else None, data, declared, code=code)


def _present(kind: Any) -> Any:
    """What stands there if anything does: `tuple[Vpc, ...]` of `tuple[Vpc, ...] | None`."""
    given = [one for one in get_args(kind) if one is not NoneType]
    return given[0] if len(given) == 1 and NoneType in get_args(kind) else kind


def _keys(place: Place) -> list[str]:
    """The keys that may be written at a place."""
    fields = _fields(place.kind)
    if place.called:
        return list(fields)
    keys = [field.alias or name for name, field in fields.items()]
    if place.named and place.in_map:
        keys.remove(place.named.key)
        keys += ["replicas"] if place.named.replicated else []
    return keys


def _fields(kind: Any) -> dict[str, FieldInfo]:
    """The fields of a model's class under their names in Python."""
    fields: dict[str, FieldInfo] = getattr(kind, "__pydantic_fields__", {})
    return fields if is_dataclass(kind) else {}


def _classes(kind: Any) -> Iterator[type]:
    """The classes of the model that a type is made of."""
    if is_dataclass(kind) and isinstance(kind, type):
        yield kind
    inner = [field.annotation for field in _fields(kind).values()] or get_args(kind)
    for part in inner:
        yield from _classes(part)
