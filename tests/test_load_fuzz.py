"""Whatever a file holds, the answer is a Lab or one message: never a traceback."""

from copy import deepcopy
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from testbed.errors import DescriptionError
from testbed.lab import Lab
from testbed.load import parse

EKS = (Path(__file__).parent.parent / "topologies" / "eks.yaml").read_text()
TREE = yaml.safe_load(EKS)

# Words of topologies come up more often than chance would have it.
WORDS = sorted(set(EKS.replace(":", " ").replace(",", " ").split()))
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.dates(),
    st.text(max_size=20),
    st.sampled_from(WORDS),
    st.ip_addresses(v=4).map(str),
    st.sampled_from(["10.0.0.0/8", "10.0.5.0/24", "0.0.0.0/0", "10.0.1.9", "80/tcp", "node-1/1"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(SCALARS, inner, max_size=4),
    max_leaves=12,
)


def answer(text: str) -> Lab | DescriptionError:
    """What a text is: nothing else may come out of it."""
    try:
        return parse(text, "fuzz.yaml")
    except DescriptionError as error:
        message = str(error)
        assert message.startswith("fuzz.yaml")
        assert "\n" not in message
        assert message.encode(), "it can be printed"
        return error


def places(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value in a tree."""
    inner: list[tuple[Any, Any]] = []
    if isinstance(tree, dict):
        inner = list(tree.items())
    elif isinstance(tree, list):
        inner = list(enumerate(tree))
    return [path, *[place for key, value in inner for place in places(value, (*path, key))]]


PLACES = places(TREE)[1:]
QUICK = settings(max_examples=60, deadline=None, database=None)  # the whole file: 2 s


@given(text=st.text(max_size=200))
@QUICK
@example(text="\x85")
@example(text="? [a]\n: b")
@example(text="!!binary a: b")
@example(text="%TAG ! x:\n---\n!y {}")
@example(text="&a {b: &a 1, c: *a}")
@example(text="{a: 1, a: 2}")
def test_any_text(text: str) -> None:
    """Most of it is no YAML."""
    answer(text)


@given(tree=st.dictionaries(st.sampled_from([*TREE, "expect", "slides"]), VALUES))
@QUICK
def test_any_tree_under_the_right_names(tree: dict[str, Any]) -> None:
    """YAML, but of any shape."""
    answer(yaml.safe_dump(tree | {"testbed": "v1"}, allow_unicode=True))


@given(st.sampled_from(PLACES), VALUES)
@QUICK
def test_the_eks_lab_with_another_value_somewhere(place: tuple[Any, ...], value: Any) -> None:
    """One slip in an otherwise good file."""
    tree = deepcopy(TREE)
    parent = reduce(getitem, place[:-1], tree)
    parent[place[-1]] = value

    answer(yaml.safe_dump(tree, allow_unicode=True))


@given(st.sampled_from(PLACES), SCALARS)
@QUICK
def test_the_eks_lab_with_another_name_somewhere(place: tuple[Any, ...], name: Any) -> None:
    """A key misspelt, or one that YAML reads as something else."""
    tree = deepcopy(TREE)
    parent = reduce(getitem, place[:-1], tree)
    if isinstance(parent, dict):
        parent[name] = parent.pop(place[-1])

    answer(yaml.safe_dump(tree, allow_unicode=True))


@given(st.integers(0, len(EKS)), st.integers(0, 40), st.text(max_size=10))
@QUICK
def test_the_eks_lab_with_a_piece_torn_out(start: int, length: int, instead: str) -> None:
    """An edit that went wrong; mostly the indentation, a bracket or a quote."""
    answer(EKS[:start] + instead + EKS[start + length :])
