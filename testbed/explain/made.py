"""Frozen values made in bulk."""

from typing import Any, TypeVar

Value = TypeVar("Value")


def made(kind: type[Value], /, **values: Any) -> Value:
    """A frozen dataclass with all its fields given, without slots.

    Its own constructor sets each field through object.__setattr__, which takes three times as
    long; predicting all pairs of a lab makes a million of them.
    """
    value = object.__new__(kind)
    value.__dict__.update(values)
    return value
