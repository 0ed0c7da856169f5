"""Whatever a file holds, the answer is a Lab that can be planned or one message: no traceback."""

from collections.abc import Iterator
from copy import deepcopy
from functools import partial, reduce
from operator import getitem
from typing import Any

import pytest
import yaml
from hypothesis import strategies as st

from testbed.allocations import allocate
from testbed.errors import DescriptionError
from testbed.load import parse, schema
from testbed.plan import plan
from tests.inputs.mutations import TOPOLOGIES, Place, places
from tests.inputs.schemas import Drawing, with_slips
from tests.inputs.shares import tried

pytestmark = pytest.mark.filterwarnings("ignore::testbed.errors.IgnoredSetting")

EKS = (TOPOLOGIES / "eks.yaml").read_text()
TREE = yaml.safe_load(EKS)
PLACES = places(TREE)[1:]
SECTIONS = schema()["properties"]
WITHOUT_LINE = "nested too deeply"  # it is all of the file

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
MEANT: dict[str, list[Any]] = {  # what keys of a topology may well be
    "subnet": ["private-a", "private-b", "public-a"],
    "vpc": ["main"],
    "availabilityZone": ["us-west-2a", "us-west-2b"],
    "instanceType": ["t3.small", "t3.medium", "m5.large", "m5.huge"],
    "node": ["node-1", "node-2", "", None],
    "name": ["one", "two", "web"],
    "names of nodes": ["node-1", "node-2", "node-3"],
    "names of pods": ["web", "client", "late"],
    "names of clusters": ["eks", "kops"],
    "names of vpcs": ["main", "other"],
    "replicas": [0, 1, 3, 10_001],
    "manifests": [[]],
    "expect": [[], [{"from": "web-*", "to": "client", "verdict": "delivered"}]],
    "slides": [[]],
}
DRAWING = Drawing(schema(), MEANT)


def sections() -> Iterator[tuple[Place, Any]]:
    """The parts of the schema, each with its place in the topology."""
    yield from (((name,), part) for name, part in SECTIONS.items() if name != "testbed")
    for kind, name in (("vpcs", "main"), ("clusters", "eks")):
        each = SECTIONS[kind]["additionalProperties"]
        for form in each.get("anyOf", each.get("oneOf", [each])):
            yield from (((kind, name, key), part) for key, part in form["properties"].items())


def put(place: Place, value: Any) -> Any:
    """The EKS lab with something else at a place."""
    tree = deepcopy(TREE)
    reduce(getitem, place[:-1], tree)[place[-1]] = value
    return tree


AS_DECLARED = st.one_of(
    *(DRAWING.values(part, place[-1]).map(partial(put, place)) for place, part in sections())
)


def answer(text: str) -> None:
    """What a text is: nothing else may come out of it."""
    try:
        lab = parse(text, "fuzz.yaml")
        plan(lab, allocate(lab))
    except DescriptionError as error:
        assert_well_said(error)


def assert_well_said(error: DescriptionError) -> None:
    """Where, on one line, printable."""
    message = str(error)
    assert error.where.file == "fuzz.yaml"
    assert error.where.line or WITHOUT_LINE in message, message
    assert "\n" not in message
    assert message.encode()


def written(tree: Any) -> str:
    return str(yaml.safe_dump(tree, allow_unicode=True))


ODD_TEXTS = [
    "\x85",
    "? [a]\n: b",
    "!!binary a: b",
    "%TAG ! x:\n---\n!y {}",
    "&a {b: &a 1, c: *a}",
    "{a: 1, a: 2}",
]


@pytest.mark.parametrize("text", ODD_TEXTS)
def test_odd_text(text: str) -> None:
    """What an earlier run has found."""
    answer(text)


def test_any_text(request: pytest.FixtureRequest) -> None:
    """Most of it is no YAML."""
    tried(request, st.text(max_size=200), answer)


def test_any_tree_under_the_right_names(request: pytest.FixtureRequest) -> None:
    """YAML, but of any shape."""
    trees = st.dictionaries(st.sampled_from([*TREE, "expect", "slides"]), VALUES)
    tried(request, trees.map(lambda tree: written(tree | {"testbed": "v1"})), answer)


def test_a_topology_as_the_schema_has_it(request: pytest.FixtureRequest) -> None:
    """Every key that is declared, with values of its type and some that are not."""
    tried(request, with_slips(AS_DECLARED).map(written), answer)


def test_the_eks_lab_with_another_value_somewhere(request: pytest.FixtureRequest) -> None:
    """One slip in an otherwise good file."""

    trees = st.builds(put, st.sampled_from(PLACES), VALUES)
    tried(request, trees.map(written), answer)


def test_the_eks_lab_with_another_name_somewhere(request: pytest.FixtureRequest) -> None:
    """A key misspelt, or one that YAML reads as something else."""

    def renamed(place: Place, name: Any) -> str:
        tree = deepcopy(TREE)
        parent = reduce(getitem, place[:-1], tree)
        parent[name] = parent.pop(place[-1])
        return written(tree)

    keys = [place for place in PLACES if isinstance(place[-1], str)]
    tried(request, st.builds(renamed, st.sampled_from(keys), SCALARS), answer)


def test_the_eks_lab_with_a_piece_torn_out(request: pytest.FixtureRequest) -> None:
    """An edit that went wrong; mostly the indentation, a bracket or a quote."""

    def torn(start: int, length: int, instead: str) -> str:
        return EKS[:start] + instead + EKS[start + length :]

    pieces = st.builds(torn, st.integers(0, len(EKS)), st.integers(0, 40), st.text(max_size=10))
    tried(request, pieces, answer)
