"""What Kubernetes would refuse of taints, tolerations and affinity is refused in its words."""

import pytest

from testbed.description.problem import spelt
from testbed.kubernetes.model import Pod
from testbed.kubernetes.scheduler.checks import of_node, of_pod
from testbed.kubernetes.scheduler.terms import (
    Affinity,
    NodeAffinity,
    NodeSelector,
    NodeSelectorTerm,
    Requirement,
    Taint,
    Toleration,
)

TERMS = "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"


def asking(*terms: NodeSelectorTerm) -> Pod:
    return Pod("web", affinity=Affinity(NodeAffinity(NodeSelector(terms))))


def of(**wish: object) -> Pod:
    return Pod("web", tolerations=(Toleration(**wish),))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("pod", "key", "message"),
    [
        (of(), "tolerations[0].operator", "operator must be Exists when `key` is empty"),
        (
            of(key="a", operator="Exists", value="x"),
            "tolerations[0].value",
            "value must be empty when `operator` is 'Exists'",
        ),
        (
            of(key="a", toleration_seconds=3),
            "tolerations[0].effect",
            "effect must be 'NoExecute' when `tolerationSeconds` is set",
        ),
        (of(key="a b"), 'tolerations[0].key["a b"]', "cannot be a label"),
        (Pod("web", node_selector={"a": "-"}), "nodeSelector.a", "cannot be a label's value"),
        (asking(), TERMS, "must have at least one node selector term"),
        (
            asking(NodeSelectorTerm((Requirement("a", "In"),))),
            f"{TERMS}[0].matchExpressions[0].values",
            "must be specified when `operator` is 'In' or 'NotIn'",
        ),
        (
            asking(NodeSelectorTerm((Requirement("a", "Exists", ("x",)),))),
            f"{TERMS}[0].matchExpressions[0].values",
            "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
        ),
        (
            asking(NodeSelectorTerm((Requirement("a", "Gt", ("1", "2")),))),
            f"{TERMS}[0].matchExpressions[0].values",
            "must be specified single value",
        ),
        (
            asking(NodeSelectorTerm((), (Requirement("spec.x", "In", ("n1",)),))),
            f"{TERMS}[0].matchFields[0].key",
            'expected "metadata.name", found "spec.x"',
        ),
    ],
)
def test_a_pod_asks_for_what_can_be_asked(pod: Pod, key: str, message: str) -> None:
    [problem] = of_pod(pod)

    assert spelt(problem.path) == key
    assert message in problem.message


def test_a_node_has_a_taint_once_for_each_effect() -> None:
    twice = (Taint("a", "NoSchedule", "1"), Taint("a", "NoSchedule", "2"))

    [problem] = of_node(twice)

    assert (spelt(problem.path), problem.message) == (
        "taints[1]",
        "taints must be unique by key and effect pair",
    )
    assert list(of_node((Taint("a", "NoSchedule"), Taint("a", "NoExecute")))) == []
