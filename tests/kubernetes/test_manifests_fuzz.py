"""Whatever a manifest holds, the answer is objects or one message: never a traceback."""

from copy import deepcopy
from functools import reduce
from operator import getitem
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from testbed.errors import DescriptionError
from testbed.kubernetes.manifests import Objects, parse

TREE = yaml.safe_load("""
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Service
  metadata: {name: shop, annotations: {a: b}}
  spec:
    selector: {app: shop}
    clusterIP: 172.20.0.7
    ports: [{name: http, port: 80, targetPort: web}]
- apiVersion: apps/v1
  kind: Deployment
  metadata: {name: shop}
  spec:
    replicas: 2
    selector: {matchLabels: {app: shop}}
    template:
      metadata: {labels: {app: shop}}
      spec:
        nodeSelector: {kubernetes.io/hostname: node-1}
        containers: [{name: shop, ports: [{name: web, containerPort: 80, hostPort: 80}]}]
        hostNetwork: true
""")
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.text(max_size=8),
    st.sampled_from(["Pod", "Service", "None", "172.20.0.8", "v1", "web", "node-2"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SCALARS, inner, max_size=3),
    max_leaves=8,
)


def answer(text: str) -> Objects | DescriptionError:
    """What a text is: nothing else may come out of it."""
    try:
        return parse({"app.yaml": text})
    except DescriptionError as error:
        message = str(error)
        assert message.startswith("app.yaml")
        assert "\n" not in message
        return error


def places(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value in a tree."""
    inner: list[tuple[Any, Any]] = []
    if isinstance(tree, dict):
        inner = list(tree.items())
    elif isinstance(tree, list):
        inner = list(enumerate(tree))
    return [path, *[place for key, value in inner for place in places(value, (*path, key))]]


@given(st.sampled_from(places(TREE)[1:]), VALUES)
@settings(max_examples=150, deadline=None, database=None)
def test_a_good_manifest_with_another_value_somewhere(place: tuple[Any, ...], value: Any) -> None:
    """One slip."""
    tree = deepcopy(TREE)
    parent = reduce(getitem, place[:-1], tree)
    parent[place[-1]] = value

    answer(yaml.safe_dump(tree, allow_unicode=True))


@given(st.lists(VALUES, max_size=3))
@settings(max_examples=80, deadline=None, database=None)
def test_documents_of_any_shape(documents: list[Any]) -> None:
    """YAML, but nothing of Kubernetes."""
    answer(yaml.safe_dump_all(documents, allow_unicode=True))


def test_the_good_one_is_good() -> None:
    """Premise of the others."""
    assert isinstance(answer(yaml.safe_dump(TREE)), Objects)
