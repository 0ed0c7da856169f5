"""What pods ask of nodes' labels, and what nodes ask of pods: selectors, affinity, taints.

Source: kubernetes, staging/src/k8s.io/component-helpers/scheduling/corev1 (nodeaffinity,
helpers.go), staging/src/k8s.io/api/core/v1/toleration.go; the fields are v1's own.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass

from testbed.description import STRICT, Whole

Labels = Mapping[str, str]
Operator = Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]
Effect = Literal["NoSchedule", "PreferNoSchedule", "NoExecute"]
NAME_FIELD = "metadata.name"  # the only field of a node that terms may ask for


def _number(text: str) -> int | None:
    digits = text.removeprefix("-")
    return int(text) if digits.isascii() and digits.isdigit() else None


def _beyond(value: str | None, bounds: tuple[str, ...], sign: int) -> bool:
    here, bound = _number(value or ""), _number(bounds[0] if bounds else "")
    return here is not None and bound is not None and sign * here > sign * bound


FULFILLED: Mapping[Operator, Callable[[str | None, tuple[str, ...]], bool]] = {
    "In": lambda value, values: value in values,
    "NotIn": lambda value, values: value not in values,
    "Exists": lambda value, values: value is not None,
    "DoesNotExist": lambda value, values: value is None,
    "Gt": lambda value, values: _beyond(value, values, 1),
    "Lt": lambda value, values: _beyond(value, values, -1),
}


@dataclass(frozen=True, config=STRICT)
class Requirement:
    """What a label has to be.  values: of In and NotIn; of Gt and Lt one number."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def holds(self, labels: Labels) -> bool:
        """Whether these labels fulfil it."""
        return FULFILLED[self.operator](labels.get(self.key), self.values)


@dataclass(frozen=True, config=STRICT)
class NodeSelectorTerm:
    """Requirements that hold all together; of none at all no node fulfils it."""

    match_expressions: tuple[Requirement, ...] = ()
    match_fields: tuple[Requirement, ...] = ()

    def holds(self, name: str, labels: Labels) -> bool:
        """Whether the node of this name and with these labels is meant."""
        fields = {NAME_FIELD: name}
        return (
            bool(self.match_expressions or self.match_fields)
            and all(one.holds(labels) for one in self.match_expressions)
            and all(one.holds(fields) for one in self.match_fields)
        )


@dataclass(frozen=True, config=STRICT)
class NodeSelector:
    """Terms of which one has to hold."""

    node_selector_terms: tuple[NodeSelectorTerm, ...]


@dataclass(frozen=True, config=STRICT)
class PreferredSchedulingTerm:
    """A term that makes a node better by its weight."""

    weight: Annotated[Whole, Field(ge=1, le=100)]
    preference: NodeSelectorTerm


@dataclass(frozen=True, config=STRICT)
class NodeAffinity:
    """The nodes a pod may run on, and which of them it prefers."""

    required_during_scheduling_ignored_during_execution: NodeSelector | None = None
    preferred_during_scheduling_ignored_during_execution: tuple[PreferredSchedulingTerm, ...] = ()


@dataclass(frozen=True, config=STRICT)
class Affinity:
    """Of a pod to nodes; to other pods the testbed knows none."""

    node_affinity: NodeAffinity = NodeAffinity()

    def required(self, name: str, labels: Labels) -> bool:
        """Whether a pod with this affinity may run on a node."""
        selector = self.node_affinity.required_during_scheduling_ignored_during_execution
        if selector is None:
            return True
        return any(term.holds(name, labels) for term in selector.node_selector_terms)

    def preferred(self, name: str, labels: Labels) -> int:
        """The weights of the terms that hold."""
        terms = self.node_affinity.preferred_during_scheduling_ignored_during_execution
        return sum(one.weight for one in terms if one.preference.holds(name, labels))


def _taint(given: Any) -> Any:
    """As kubectl writes it, `dedicated=gpu:NoSchedule`, or by its parts."""
    if not isinstance(given, str):
        return given
    front, _, effect = given.rpartition(":")
    key, _, value = front.partition("=")
    return {"key": key, "value": value, "effect": effect}


@dataclass(frozen=True, config=STRICT)
class Taint:
    """What keeps pods off a node; NoExecute also those that run there."""

    key: str
    effect: Effect
    value: str = ""

    def __str__(self) -> str:
        """As kube-scheduler tells it: `{dedicated: gpu}`."""
        return f"{{{self.key}: {self.value}}}"


Taints = tuple[
    Annotated[Taint, BeforeValidator(_taint, json_schema_input_type=Taint | str)],
    ...,
]


@dataclass(frozen=True, config=STRICT)
class Toleration:
    """Which taints a pod bears; without a key all of them, without an effect every one."""

    key: str = ""
    operator: Literal["Equal", "Exists"] = "Equal"
    value: str = ""
    effect: Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"] = ""
    toleration_seconds: int | None = None

    def bears(self, taint: Taint) -> bool:
        """Whether it is for this taint (ToleratesTaint)."""
        return (
            self.effect in ("", taint.effect)
            and self.key in ("", taint.key)
            and (self.operator == "Exists" or self.value == taint.value)
        )


Tolerations = tuple[Toleration, ...]


def unborne(taints: Iterable[Taint], tolerations: Tolerations, *effects: Effect) -> list[Taint]:
    """Those of the taints, of these effects, that nothing makes bearable."""
    return [
        taint
        for taint in taints
        if taint.effect in effects and not any(one.bears(taint) for one in tolerations)
    ]
