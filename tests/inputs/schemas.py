"""Values as a JSON schema has them, for hypothesis to draw: what is declared is tried."""

from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from functools import reduce
from operator import getitem
from typing import Any

from hypothesis import strategies as st

from tests.inputs.mutations import SLIPS, places

Strategy = st.SearchStrategy[Any]
Words = Mapping[str, Sequence[Any]]  # by the key that they stand behind: values that make sense

BY_FORMAT = {
    "ipv4": st.sampled_from(["10.0.1.9", "172.20.0.9", "203.0.113.7"]),
    "ipv4network": st.sampled_from(["10.0.1.0/24", "10.0.2.0/24", "172.20.0.0/16", "0.0.0.0/0"]),
}
ANYTHING: Strategy = st.sampled_from([None, True, {}, {"a": ["b"]}, "x"])
NAMES = ("web", "client", "node-1", "a", "main", "http")
MOST = 2  # items of a list or map that is not told its names


class Drawing:
    """Strategies for the parts of one schema.

    words: what its keys mean to the lab.  always: keys that are never left out, nor empty lists.
    """

    def __init__(
        self, schema: Mapping[str, Any], words: Words, always: Collection[str] = ()
    ) -> None:
        self.schema, self.words, self.always = schema, words, always
        self.references: dict[str, Strategy] = {}

    def whole(self) -> Strategy:
        """Values of the schema."""
        return self.values(self.schema, "")

    def values(self, part: Mapping[str, Any], key: str) -> Strategy:
        """Values of a part of the schema that stands behind a key."""
        if key in self.words:
            return st.sampled_from(self.words[key])
        match part:
            case {"$ref": str(path)}:
                return self._referenced(path)
            case {"const": value}:
                return st.just(value)
            case {"enum": values}:
                return st.sampled_from(values)
            case {"anyOf": parts} | {"oneOf": parts}:
                return st.one_of(*(self.values(one, key) for one in parts))
        return self._typed(part, key)

    def _typed(self, part: Mapping[str, Any], key: str) -> Strategy:
        match part:
            case {"type": [*kinds]}:
                return st.one_of(*(self._typed({**part, "type": kind}, key) for kind in kinds))
            case {"type": "object"}:
                return self._maps(part, key)
            case {"type": "array", "items": items}:
                least = int(key in self.always)
                return st.lists(self.values(items, ""), min_size=least, max_size=MOST)
            case {"type": str(kind)}:
                return self._scalars(kind, part)
        return ANYTHING

    def _referenced(self, path: str) -> Strategy:
        if path not in self.references:
            found = reduce(getitem, path.removeprefix("#/").split("/"), self.schema)
            self.references[path] = st.deferred(lambda: self.values(found, ""))
        return self.references[path]

    def _maps(self, part: Mapping[str, Any], key: str) -> Strategy:
        if "properties" not in part:
            inner = part.get("additionalProperties", {})
            names = st.sampled_from(self.words.get(f"names of {key}", NAMES))
            some = self.values(inner, "") if isinstance(inner, dict) else ANYTHING
            return st.dictionaries(names, some, max_size=MOST)
        every = {name: self.values(one, name) for name, one in part["properties"].items()}
        needed = {*part.get("required", ()), *self.always}
        required = {name: every.pop(name) for name in [*every] if name in needed}
        return st.fixed_dictionaries(required, optional=every)

    def _scalars(self, kind: str, part: Mapping[str, Any]) -> Strategy:
        least = part.get("minimum", part.get("ge", 0))
        most = part.get("maximum", part.get("le", 70_000))
        return {
            "integer": st.integers(least, most) | st.sampled_from([least, most]),
            "number": st.floats(least, most),
            "boolean": st.booleans(),
            "null": st.none(),
            "string": BY_FORMAT.get(part.get("format", ""), st.sampled_from(NAMES)),
        }[kind]


SLIP = st.tuples(st.integers(0, 1 << 16), st.sampled_from(SLIPS))


def with_slips(good: Strategy, most: int = 2) -> Strategy:
    """The same with a value somewhere that nobody meant, or a few, or none."""
    return st.tuples(good, st.lists(SLIP, max_size=most)).map(lambda both: _slipped(*both))


def _slipped(tree: Any, slips: Sequence[tuple[int, Any]]) -> Any:
    tree = deepcopy(tree)
    for number, value in slips:
        there = places(tree)[1:]
        if there:
            place = there[number % len(there)]
            reduce(getitem, place[:-1], tree)[place[-1]] = value
    return tree
