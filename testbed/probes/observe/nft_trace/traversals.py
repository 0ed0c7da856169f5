"""nft trace messages to the base chains a packet went through.  Pure.

Trace tells the packet's header once for each base chain, with the first thing that happens there:
a rule that matches, or the chain's policy.
"""

from collections.abc import Callable, Iterable, Mapping

from testbed.explain.evidence.witnesses import OWN_TABLE, Matched, Traversal, Way
from testbed.kernel.netlink.wire import attributes, text
from testbed.probes.observe.nft_trace import nft
from testbed.probes.observe.sent.packets import Packet, is_error, parts

# linux/netfilter/nf_tables.h: NFTA_TRACE_*, NFTA_VERDICT_*
TABLE, CHAIN, HANDLE, TYPE, VERDICT, ID = 1, 2, 3, 4, 5, 6
NETWORK, TRANSPORT, IIF, OIF, MARK, POLICY = 8, 9, 10, 12, 14, 16
VERDICT_CODE, VERDICT_CHAIN = 1, 2
VERDICTS = {
    0: "drop",
    1: "accept",
    2: "stolen",
    3: "queue",
    4: "repeat",
    5: "stop",
    -1: "continue",
    -2: "break",
    -3: "jump",
    -4: "goto",
    -5: "return",
}

Attributes = dict[int, bytes]
Classify = Callable[[Packet], Way | None]


class _Story:
    """A base chain that is being told of (state: what matched there so far)."""

    __slots__ = ("family", "matched", "packet", "told", "way")

    def __init__(self, family: str, told: Attributes, packet: Packet, way: Way | None) -> None:
        self.family = family
        self.told = told
        self.packet = packet
        self.way = way
        self.matched: list[Matched] = []


def traversals(
    ns: str, heard: Iterable[bytes], devices: Mapping[int, str], classify: Classify
) -> tuple[Traversal, ...]:
    """The base chains that the probe and its answers went through, in the kernel's order.

    devices: the namespace's, by number.
    """
    stories: list[_Story] = []
    latest: dict[int, _Story] = {}  # by the trace's id of the packet
    for body in heard:
        told = attributes(body, nft.NFGENMSG_BYTES)
        packet_id = _number(told, ID)
        if NETWORK in told:
            before = latest.pop(packet_id, None)
            story = _begun(nft.FAMILIES.get(body[0], ""), told, before, classify)
            if story is None:
                continue
            latest[packet_id] = story
            stories.append(story)
        if packet_id in latest:
            latest[packet_id].matched += _matched(told)
    return tuple(_traversal(ns, story, story.way, devices) for story in stories if story.way)


def _begun(
    family: str, told: Attributes, before: _Story | None, classify: Classify
) -> _Story | None:
    packet = parts(told[NETWORK], told.get(TRANSPORT, b""))
    if packet is None:
        return None
    if not is_error(packet):
        return _Story(family, told, packet, classify(packet))
    # trace shows 20 bytes, not what the error quotes: it is ours if our own rule took it
    ours = _number(told, TYPE) == nft.TRACETYPE_RULE and text(told[TABLE]).startswith(OWN_TABLE)
    way: Way | None = "error" if ours else before.way if before else None
    return _Story(family, told, packet, way)


def _matched(told: Attributes) -> list[Matched]:
    chain = text(told[CHAIN])
    match _number(told, TYPE):
        case nft.TRACETYPE_RULE if HANDLE in told:
            return [Matched(chain=chain, handle=_number(told, HANDLE), verdict=_verdict(told))]
        case nft.TRACETYPE_POLICY:
            verdict = VERDICTS.get(_number(told, POLICY), "unknown")
            return [Matched(chain=chain, handle=0, verdict=verdict)]
        case _:  # the end of a chain that was jumped to
            return []


def _verdict(told: Attributes) -> str:
    """`accept`, `jump AWS-SNAT-CHAIN-0`."""
    verdict = attributes(told.get(VERDICT, b""))
    code = int.from_bytes(verdict[VERDICT_CODE], "big", signed=True)
    words = [VERDICTS.get(code, str(code))]
    if VERDICT_CHAIN in verdict:
        words.append(text(verdict[VERDICT_CHAIN]))
    return " ".join(words)


def _traversal(ns: str, story: _Story, way: Way, devices: Mapping[int, str]) -> Traversal:
    return Traversal(
        ns=ns,
        family=story.family,
        table=text(story.told[TABLE]),
        chain=text(story.told[CHAIN]),
        header=story.packet.header,
        mark=_number(story.told, MARK),
        iif=devices.get(_number(story.told, IIF), ""),
        oif=devices.get(_number(story.told, OIF), ""),
        matched=tuple(story.matched),
        way=way,
    )


def _number(told: Attributes, kind: int) -> int:
    return int.from_bytes(told.get(kind, b""), "big")
