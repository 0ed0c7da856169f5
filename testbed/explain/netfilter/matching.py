"""Conditions made into quick tests, and the sets and maps they look things up in."""

from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter
from typing import Any, Generic, Protocol, TypeVar

from testbed.explain.netfilter.conditions import (
    ALL_BITS,
    AddressType,
    Condition,
    Element,
    Field,
    Matches,
    Part,
    Prefix,
    Range,
    Tracked,
)
from testbed.explain.packet import Packet

Key = Any  # what a packet has in some fields: one value, or a tuple of them
Test = Callable[[Packet], bool]
Value = TypeVar("Value")


class Elements(Generic[Value]):
    """The elements of a set, or of a map with their values (state: an index)."""

    def __init__(self, entries: Iterable[tuple[Element, Value]]) -> None:
        self._exact: dict[Key, Value] = {}
        self._loose: list[tuple[Element, Value]] = []
        for element, value in entries:
            parts = tuple(_point(part) for part in element)
            if any(isinstance(part, Range | Prefix) for part in parts):
                self._loose.append((parts, value))
            else:
                self._exact[parts if len(parts) > 1 else parts[0]] = value

    def find(self, key: Key) -> Value | None:
        """What a key has; None where no element takes it."""
        found = self._exact.get(key)
        if found is not None or not self._loose:
            return found
        values = key if isinstance(key, tuple) else (key,)
        for element, value in self._loose:
            if all(map(_takes, element, values)):
                return value
        return None


def _point(part: Part) -> Part:
    return part.first if isinstance(part, Range) and part.first == part.last else part


def _takes(part: Part, value: int | str) -> bool:
    match part:
        case Range(first, last):
            return isinstance(value, int) and first <= value <= last
        case Prefix(text):
            return isinstance(value, str) and value.startswith(text)
        case _:
            return part == value


class Surroundings(Protocol):
    """What a condition may ask of the namespace it is in."""

    def elements(self, name: str) -> Elements[Any] | None:
        """A set of the rule's table; None where packets change it, or there is none."""

    def remembers(self, name: str) -> bool:
        """Whether packets put their own addresses into a set."""

    def address_type(self, address: int, dev: str) -> str:
        """local, broadcast, unicast … in this namespace."""


def reads(condition: Condition) -> Iterator[str]:
    """The attributes of a packet that decide."""
    match condition:
        case Matches(fields=fields):
            yield from (field.name for field in fields)
        case Tracked():
            yield "ct"
        case AddressType(field=field, device=device):
            yield field
            if device:
                yield device


def test(condition: Condition, around: Surroundings) -> Test | None:
    """The condition as a function; None where only chance or nobody knows."""
    match condition:
        case Matches():
            return _matching(condition, around)
        case Tracked(words=words, negated=negated):
            return lambda packet: (not words.isdisjoint(packet.ct)) != negated
        case AddressType():
            return _address_type(condition, around)
        case _:
            return None


def _matching(condition: Matches, around: Surroundings) -> Test | None:
    elements = (
        around.elements(condition.set)
        if condition.set
        else Elements((element, True) for element in condition.elements)
    )
    if elements is None:
        return None
    get, find, negated = getter(condition.fields), elements.find, condition.negated
    return lambda packet: (find(get(packet)) is not None) != negated


def _address_type(condition: AddressType, around: Surroundings) -> Test:
    get = attrgetter(condition.field)
    device = attrgetter(condition.device) if condition.device else _nowhere
    types, negated, kind = condition.types, condition.negated, around.address_type
    return lambda packet: (kind(get(packet), device(packet)) in types) != negated


def _nowhere(_: Packet) -> str:
    return ""


def getter(fields: tuple[Field, ...]) -> Callable[[Packet], Key]:
    """What reads these fields of a packet."""
    names = [field.name for field in fields]
    read: Callable[[Packet], Any] = attrgetter(*names)
    masks = [field.mask for field in fields]
    if masks == [ALL_BITS] * len(masks):
        return read
    if len(masks) == 1:
        mask = masks[0]
        return lambda packet: read(packet) & mask
    return lambda packet: tuple(
        value if mask == ALL_BITS else value & mask
        for value, mask in zip(read(packet), masks, strict=True)
    )
