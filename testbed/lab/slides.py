"""What cannot be a slide: one of a place that is not there, or whose command does more than look.

A topology in YAML only describes (SECURITY.md).  `testbed slide` runs these commands as root, with
the machine's files: `touch /etc/x`, `iptables --modprobe=PROGRAM` or `ip netns exec` are refused.
"""

import re
from collections.abc import Collection, Iterable

from testbed.description.problem import Problem, Problems, quoted, unknown
from testbed.lab import Slide

_LOOKING = {  # by the program: the arguments with which it only prints
    "ip": r"( -(4|6|br|brief|d|details|o|oneline|s|stats|j|p|N))*"
    r" (rule|route|addr|address|a|link|neigh|neighbour)( (show|ls|list)( [\w./:-]+)*)?",
    "bridge": r"( -(d|s|j|p))* (fdb|link|mdb|vlan)( show( [\w./:-]+)*)?",
    "nft": r"( -(a|n|y|s|j))* list( [\w-]+)*",
    "iptables": r"( -t \w+)?( -[nvx]+)* -(S|[nvx]*L[nvx]*)( [\w-]+)?( -[nvx]+)*",
    "iptables-save": r"( -c)?( -t \w+)?( -c)?",
}
_AS = {"iptables-nft": "iptables", "iptables-nft-save": "iptables-save"}
LOOKING = ", ".join([*_LOOKING, *_AS])


def looks(command: str) -> bool:
    """Whether a command prints what is there and does nothing else."""
    program, blank, rest = " ".join(command.split()).partition(" ")
    arguments = _LOOKING.get(_AS.get(program, program))
    return arguments is not None and bool(re.fullmatch(arguments, blank + rest))


def slide_problems(slides: Iterable[Slide], places: Collection[str]) -> Problems:
    """Wrong places, commands, and words in braces."""
    for slide in slides:
        if slide.node not in places:
            yield Problem(("slides", slide.title, "node"), unknown("place", slide.node, places))
        if not looks(slide.command):
            message = f"expected what only looks, of {LOOKING}; found {quoted(slide.command)}"
            yield Problem(("slides", slide.title, "command"), message)
        for word in re.findall(r"{([^{}]*)}", slide.lines):
            owner = word.rpartition(".")[0]
            if owner not in places:
                message = unknown("place", owner or word, places)
                yield Problem(("slides", slide.title, "lines"), message)
