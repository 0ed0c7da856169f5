"""The words for a name that nothing in the lab has: what was meant, else what there is.  Pure."""

import re
from collections.abc import Collection, Iterator

from testbed.description.problem import MOST_SHOWN, nearest, quoted

MOST_MEANT = 3  # `node-9` is as near to each of three nodes
SEPARATORS = re.compile(r"[/.:]")  # pod/web-0, default/web-0, web-0.default.svc, web-0:80


def no_place(name: str, known: Collection[str], where: str = "in this lab") -> str:
    """What to say of a name that no pod, node, router or Service has.

    known: all that can be named.  Where the name is spelt as kubectl, DNS or a URL spell it, the
    lab's own spelling is offered.
    """
    if re.fullmatch(r"[\d.]+", name) and "." in name:
        return f"{quoted(name)} is no IPv4 address"
    message = f"no {quoted(name)} {where}"
    if meant := next((other for other in _other_spellings(name) if other in known), ""):
        return f"{message}; did you mean {quoted(meant)}?"
    if close := nearest(name, known, MOST_MEANT):
        return message + close
    if "." in name:
        return (
            f"{message}: names are those of pods, nodes and routers; what only DNS knows is asked"
            f" by a program in there: `testbed exec POD -- curl {name}`"
        )
    return f"{message}; there are: {listed(known)}"


def listed(known: Collection[str]) -> str:
    """All the names, or as many as one reads."""
    shown = " ".join(sorted(known)[:MOST_SHOWN]) or "none"
    left = len(known) - MOST_SHOWN
    return f"{shown} … and {left} more" if left > 0 else shown


def _other_spellings(name: str) -> Iterator[str]:
    """`NAMESPACE.POD` and `POD`, whichever way round the name has them."""
    match SEPARATORS.split(name):
        case [first, second, *_]:
            yield from (f"{first}.{second}", f"{second}.{first}", second, first)
