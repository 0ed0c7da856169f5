"""How the classes of a topology are declared: frozen, strict, and named things from YAML maps.

A topology's classes are pydantic dataclasses, so that Python and YAML build equal values and are
checked by the same code; attributes are snake_case in Python and camelCase in YAML.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Any

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
)
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from testbed.description.problem import found

STRICT = ConfigDict(
    extra="forbid", alias_generator=to_camel, populate_by_name=True, arbitrary_types_allowed=False
)
MOST_REPLICAS = 10_000  # pods one machine can hold

REFUSED = "refused"


@dataclass(frozen=True)
class RefusedWith:
    """AWS's code for a value that cannot stand there: metadata of a field's type."""

    code: str


INVALID = RefusedWith("InvalidParameterValue")


def refusal(message: str, *path: str | int) -> PydanticCustomError:
    """What a validator raises: the message as it is, at `path` below the value it was given."""
    return PydanticCustomError(REFUSED, "{message}", {"message": message, "path": path})


@dataclass(frozen=True)
class Named:
    """Lets a tuple of things be written as a map from their `key`; see `named`."""

    key: str
    short: str
    replicated: bool

    def entries(self, given: Any) -> Any:
        """The list that a map stands for; anything else as it is."""
        if isinstance(given, Mapping):
            given = [self._entry(name, body) for name, body in given.items()]
        if self.replicated and isinstance(given, list):
            return [one for entry in given for one in self._copies(entry)]
        return given

    def _entry(self, name: Any, body: Any) -> Any:
        if self.short:
            return {self.key: name, self.short: body}
        if body is None:
            return {self.key: name}
        if not isinstance(body, Mapping):
            raise refusal(f"expected a map, found {found(body)}", str(name))
        if self.key in body:
            raise refusal(f"the key of the map is the {self.key} already", str(name), self.key)
        return {self.key: name, **body}

    def _copies(self, entry: Any) -> Iterator[Any]:
        if not isinstance(entry, Mapping) or "replicas" not in entry:
            yield entry
            return
        name, count = entry.get(self.key), entry["replicas"]
        if type(count) is not int or not 0 <= count <= MOST_REPLICAS:
            wanted = f"expected a whole number from 0 to {MOST_REPLICAS}"
            raise refusal(f"{wanted}, found {found(count)}", str(name), "replicas")
        rest = {key: value for key, value in entry.items() if key != "replicas"}
        yield from ({**rest, self.key: f"{name}-{i}"} for i in range(count))

    def __get_pydantic_core_schema__(self, kind: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Pydantic's hook: turn maps into lists before validation."""
        return core_schema.no_info_before_validator_function(self.entries, handler(kind))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Pydantic's hook: to an editor the things are a map, and their key is no property."""
        items = handler(schema)["items"]
        kinds = [handler.resolve_ref_schema(one) for one in items.get("oneOf", [items])]
        bodies = [self._body_schema(kind) for kind in kinds]
        body = bodies[0] if len(bodies) == 1 else {"anyOf": bodies}
        return {"type": "object", "additionalProperties": body}

    def _body_schema(self, thing: JsonSchemaValue) -> JsonSchemaValue:
        """What stands behind the name of one thing."""
        properties = {k: v for k, v in thing["properties"].items() if k != self.key}
        if self.short:
            short: JsonSchemaValue = properties[self.short]
            return short
        if self.replicated:
            properties["replicas"] = {"type": "integer", "minimum": 0, "maximum": MOST_REPLICAS}
        required = [key for key in thing.get("required", ()) if key != self.key]
        body = {**thing, "properties": properties, "required": required}
        if not required:
            body["type"] = ["object", "null"]
        return body


def named(key: str = "name", *, short: str = "", replicated: bool = False) -> Named:
    """Let a tuple of things be written as a map from their `key`.

    `{a: {x: 1}}` stands for `[{name: a, x: 1}]`.  With `short="x"`, `{a: 1}` does too, whatever
    type the 1 is: a class with a short form has no long form.  With `replicated`, an entry
    `{a: {x: 1, replicas: 2}}` stands for two things, `a-0` and `a-1`.
    """
    return Named(key, short, replicated)


def _cidr(given: Any) -> Any:
    """A range from text; pydantic alone would read the number 10 as 0.0.0.10/32."""
    if isinstance(given, IPv4Network):
        return given
    base, _, length = str(given).partition("/")
    try:
        network = IPv4Network((base, int(length)), strict=False)
    except ValueError as error:
        message = f"expected an IPv4 range such as 10.0.0.0/16, found {found(given)}"
        raise refusal(message) from error
    if base != str(network.network_address):
        raise refusal(f"{given} is an address inside {network}; write {network} for the range")
    return network


def _ip(given: Any) -> Any:
    """An address from text; pydantic alone would read the number 10 as 0.0.0.10."""
    if isinstance(given, IPv4Address):
        return given
    try:
        return IPv4Address(str(given))
    except ValueError as error:
        raise refusal(f"expected an IPv4 address, found {found(given)}") from error


def _whole(given: Any) -> Any:
    """A number; pydantic alone would read `true` as 1."""
    if isinstance(given, bool | float):
        raise refusal(f"expected a whole number, found {found(given)}")
    return given


def _seconds(given: Any) -> Any:
    """Seconds from `10s`, `500ms` or `2m`; a number alone is seconds too."""
    if isinstance(given, int | float) and not isinstance(given, bool):
        return given
    match = re.fullmatch(DURATION, given) if isinstance(given, str) else None
    if not match:
        raise refusal(f"expected a duration such as 10s or 500ms, found {found(given)}")
    return float(match[1]) * UNITS_S[match[2]]


DURATION = r"([0-9]+(?:\.[0-9]+)?)(ms|s|m)"
UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0}
DurationText = Annotated[str, Field(pattern=f"^{DURATION}$")]

Seconds = Annotated[float, BeforeValidator(_seconds, json_schema_input_type=DurationText | float)]


def cidr_or(word: str) -> BeforeValidator:
    """For a type that is a range or one word: another text is refused as a range.

    A union of both would tell of each of its types, in pydantic's own words.
    """
    return BeforeValidator(
        lambda given: given if given == word else _cidr(given), json_schema_input_type=str
    )


Cidr = Annotated[IPv4Network, BeforeValidator(_cidr)]
Ip = Annotated[IPv4Address, BeforeValidator(_ip)]
Whole = Annotated[int, BeforeValidator(_whole)]


def duplicates(names: Iterable[str]) -> Iterator[str]:
    """Every name that was seen before, in order."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            yield name
        seen.add(name)
