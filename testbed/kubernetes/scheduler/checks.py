"""What Kubernetes would refuse of taints, tolerations, selectors and affinity.

Words: kubernetes, pkg/apis/core/validation (validateTolerations, ValidateNodeSelectorRequirement,
ValidateNodeFieldSelectorRequirement).  Paths start at the node, or at the pod.
"""

from collections.abc import Iterable
from typing import Protocol

from testbed.description.problem import Path, Problem, Problems, found, quoted
from testbed.kubernetes import validation
from testbed.kubernetes.scheduler.terms import (
    NAME_FIELD,
    Affinity,
    Labels,
    NodeSelectorTerm,
    Requirement,
    Taint,
    Toleration,
    Tolerations,
)

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


class Wishing(Protocol):
    """A pod, as far as it says which nodes it may run on."""

    @property
    def node_selector(self) -> Labels:
        """Labels a node has to have."""

    @property
    def affinity(self) -> Affinity:
        """What it asks of nodes beyond that."""

    @property
    def tolerations(self) -> Tolerations:
        """The taints it bears."""


def of_node(taints: Iterable[Taint]) -> Problems:
    """What is wrong with a node's taints."""
    seen: set[tuple[str, str]] = set()
    for i, taint in enumerate(taints):
        yield from validation.labels(("taints", i), {taint.key: taint.value})
        if (taint.key, taint.effect) in seen:
            yield Problem(("taints", i), "taints must be unique by key and effect pair")
        seen.add((taint.key, taint.effect))


def of_pod(pod: Wishing) -> Problems:
    """What is wrong with a pod's wishes."""
    yield from validation.labels(("nodeSelector",), pod.node_selector)
    for i, toleration in enumerate(pod.tolerations):
        for problem in _toleration(toleration):
            yield problem.under("tolerations", i)
    yield from (one.under("affinity", "nodeAffinity") for one in _affinity(pod.affinity))


def _affinity(affinity: Affinity) -> Problems:
    wish = affinity.node_affinity
    if selector := wish.required_during_scheduling_ignored_during_execution:
        terms: Path = (REQUIRED, "nodeSelectorTerms")
        if not selector.node_selector_terms:
            yield Problem(terms, "must have at least one node selector term")
        for i, term in enumerate(selector.node_selector_terms):
            yield from _term((*terms, i), term)
    for i, one in enumerate(wish.preferred_during_scheduling_ignored_during_execution):
        yield from _term((PREFERRED, i, "preference"), one.preference)


def _toleration(one: Toleration) -> Problems:
    if one.key:
        yield from validation.labels(("key",), {one.key: ""})
    elif one.operator != "Exists":
        message = 'operator must be Exists when `key` is empty, which means "match all values'
        yield Problem(("operator",), f'{message} and all keys"')
    if one.operator == "Exists" and one.value:
        yield Problem(("value",), "value must be empty when `operator` is 'Exists'")
    if one.toleration_seconds is not None and one.effect != "NoExecute":
        message = "effect must be 'NoExecute' when `tolerationSeconds` is set"
        yield Problem(("effect",), message)


def _term(path: Path, term: NodeSelectorTerm) -> Problems:
    for i, one in enumerate(term.match_expressions):
        yield from requirement((*path, "matchExpressions", i), one)
    for i, one in enumerate(term.match_fields):
        where = (*path, "matchFields", i)
        if one.key != NAME_FIELD:
            message = f"expected {quoted(NAME_FIELD)}, found {found(one.key)}"
            yield Problem((*where, "key"), message)
        if one.operator not in ("In", "NotIn") or len(one.values) != 1:
            message = "must be only one value when `operator` is 'In' or 'NotIn' for node field"
            yield Problem((*where, "values"), f"{message} selector")


def label_requirement(path: Path, one: Requirement) -> Problems:
    """What is wrong with one requirement of a LabelSelector, which compares no numbers."""
    if one.operator in ("Gt", "Lt"):
        message = "expected In, NotIn, Exists or DoesNotExist, found"
        yield Problem((*path, "operator"), f"{message} {quoted(one.operator)}")
        return
    yield from requirement(path, one)


def requirement(path: Path, one: Requirement) -> Problems:
    """What is wrong with one thing that is asked of a label."""
    yield from validation.labels((*path, "key"), {one.key: ""})
    match one.operator:
        case "In" | "NotIn" if not one.values:
            message = "must be specified when `operator` is 'In' or 'NotIn'"
            yield Problem((*path, "values"), message)
        case "Exists" | "DoesNotExist" if one.values:
            message = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            yield Problem((*path, "values"), message)
        case "Gt" | "Lt" if len(one.values) != 1:
            message = "must be specified single value when `operator` is 'Lt' or 'Gt'"
            yield Problem((*path, "values"), message)
