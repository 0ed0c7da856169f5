"""How much a pod may send and be sent: two annotations, which the network plugin enforces or not.

Source: kubernetes v1.14, pkg/util/bandwidth/utils.go; quantities: apimachinery, pkg/api/resource.
"""

import re
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import NamedTuple

from testbed.description.problem import Problem, Problems, quoted, unknown
from testbed.kubernetes.model import Pod

INGRESS = "kubernetes.io/ingress-bandwidth"
EGRESS = "kubernetes.io/egress-bandwidth"
ANNOTATIONS = (INGRESS, EGRESS)

LEAST, MOST = 10**3, 10**15  # bits a second
QUANTITY = re.compile(r"(\+?(?:[0-9]+\.?[0-9]*|\.[0-9]+))([numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]+|)")
SUFFIXES = {
    "": Fraction(1),
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 10**3),
    **{letter: Fraction(1000 ** (i + 1)) for i, letter in enumerate("kMGTPE")},
    **{f"{letter}i": Fraction(1024 ** (i + 1)) for i, letter in enumerate("KMGTPE")},
}


class Bandwidth(NamedTuple):
    """In kbit/s; None is unlimited."""

    ingress: int | None
    egress: int | None


def bandwidth(annotations: Mapping[str, str]) -> Bandwidth:
    """What the annotations say.  Raises ValueError: what `problems` tells of."""
    asked = (annotations.get(name) for name in ANNOTATIONS)
    return Bandwidth(*(None if text is None else _kbit(text) for text in asked))


def of_pod(annotations: Mapping[str, str]) -> dict[str, str]:
    """Those of a pod's annotations that are about its bandwidth."""
    return {name: text for name, text in annotations.items() if name in ANNOTATIONS}


def problems(annotations: Mapping[str, str]) -> Problems:
    """What is wrong with a pod's annotations; with other ones nothing would happen."""
    for name, text in annotations.items():
        if name not in ANNOTATIONS:
            yield Problem((name,), unknown("annotation of a pod", name, ANNOTATIONS))
            continue
        try:
            _kbit(text)
        except ValueError as error:
            yield Problem((name,), str(error))


def without_effect(pods: Iterable[Pod]) -> Problems:
    """Warnings for limits where the CNI's configuration has no plugin `bandwidth`."""
    for pod in pods:
        for name in pod.annotations:
            message = "has no effect: the CNI's configuration has no plugin for it"
            yield Problem(("pods", pod.netns, "annotations", name), message)


def _kbit(text: str) -> int:
    """`10M` as tc is told it: whole kbit, rounded down.  Raises ValueError."""
    match = QUANTITY.fullmatch(text)
    if not match:
        raise ValueError(f"expected bits a second such as 10M, found {quoted(text)}")
    number, suffix = match.groups()
    exponent = suffix[:1] in ("e", "E") and suffix != "E" and not suffix.endswith("i")
    scale = Fraction(10) ** int(suffix[1:]) if exponent else SUFFIXES[suffix]
    bits = Fraction(number) * scale
    if not LEAST <= bits <= MOST:
        size = "small (< 1kbit)" if bits < LEAST else "large (> 1Pbit)"
        raise ValueError(f"{quoted(text)}: resource is unreasonably {size}")
    return int(bits) // 1000
