"""The workshop's slides with a lab's own values, compared with what a kernel prints."""

from collections.abc import Iterator
from difflib import SequenceMatcher

from testbed.allocations import Allocations
from testbed.daemon.process.protocol import Json
from testbed.lab import Lab, Slide
from testbed.net.facts import Address, State, Veth


def filled(slide: Slide, values: dict[str, str]) -> list[str]:
    """The slide's lines, the words in braces replaced, white space as one blank."""
    lines = slide.lines.strip().splitlines()
    for word, value in values.items():
        lines = [line.replace(f"{{{word}}}", value) for line in lines]
    return [" ".join(line.split()) for line in lines]


def values(lab: Lab, allocations: Allocations, state: State) -> dict[str, str]:
    """What the words in braces mean: `pod-1.ip`, `pod-1.veth`, `node-1.eth0`, `node-1.router`."""
    veths = {(f.ns, f.peer_ns): f.name for f in state if isinstance(f, Veth)}
    found = {f"{f.ns}.{f.dev}": str(f.ip.ip) for f in state if isinstance(f, Address)}
    for place in allocations.pods:
        found[f"{place.pod}.ip"] = str(place.ip)
        found[f"{place.pod}.veth"] = veths.get((place.node, place.pod), "")
    routers = {(vpc.name, s.name): s.cidr[1] for vpc in lab.vpcs for s in vpc.subnets}
    for eni in allocations.enis:
        found[f"{eni.instance}.router"] = str(routers[eni.vpc, eni.subnet])
    return found


def compared(slide: Slide, lines: list[str], printed: str) -> Json:
    """The slide's lines beside the kernel's, a line that one of them lacks beside nothing."""
    kernel = [" ".join(line.split()) for line in printed.strip().splitlines()]
    pairs = list(_aligned(lines, kernel))
    return {
        "title": slide.title,
        "node": slide.node,
        "command": slide.command,
        "lines": [{"slide": left, "kernel": right} for left, right in pairs],
        "same": lines == kernel,
    }


def _aligned(left: list[str], right: list[str]) -> Iterator[tuple[str, str]]:
    for kind, a, b, c, d in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        if kind == "equal":
            yield from zip(left[a:b], right[c:d], strict=True)
        else:
            yield from ((line, "") for line in left[a:b])
            yield from (("", line) for line in right[c:d])
