"""What nft trace told of a namespace, in a part for each stay of the packet there.

Trace messages have no time.  But a packet enters a namespace only by PREROUTING, or is made there
and begins with OUTPUT; so what trace told falls into parts, and these come in the order of the
packet's stays.
"""

from collections.abc import Iterable
from itertools import groupby

from testbed.explain.evidence.witnesses import FIRST, Traversal

Part = list[Traversal]


def told_by_namespace(traversals: Iterable[Traversal]) -> dict[str, list[Part]]:
    """What trace told, by namespace, in a part for each stay."""
    ordered = sorted(traversals, key=lambda one: one.ns)
    return {ns: _parts(those) for ns, those in groupby(ordered, key=lambda one: one.ns)}


def _parts(told: Iterable[Traversal]) -> list[Part]:
    parts: list[Part] = []
    for one in told:
        if not parts or (one.own and one.place == FIRST and _begins(one, parts[-1])):
            parts.append([])
        parts[-1].append(one)
    return parts


def _begins(one: Traversal, part: Part) -> bool:
    """Whether a packet that is here has just come; a bridge hands it on to the IP hooks."""
    if one.family == "bridge":
        return one.hook == "prerouting"
    if one.hook == "output":
        return True
    handed_on = part[0].family == "bridge" and all(other.family == "bridge" for other in part)
    return one.hook == "prerouting" and not handed_on


def is_made(part: Part) -> bool:
    """Whether it is of a packet that was made here; what comes in by a bridge was not."""
    return part[0].family != "bridge" and part[0].hook == "output"
