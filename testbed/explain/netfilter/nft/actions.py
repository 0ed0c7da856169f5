"""What rules of nft do, from what `nft list` prints behind their matches."""

from collections.abc import Callable, Mapping
from ipaddress import IPv4Address

from testbed.explain.netfilter.conditions import (
    ALL_BITS,
    Action,
    ChangePlaces,
    Continue,
    Element,
    Field,
    Jump,
    Lookup,
    NotUnderstood,
    Range,
    Reject,
    SetField,
    SetMark,
    Translate,
    Verdict,
)
from testbed.explain.netfilter.nft.words import (
    NotKnown,
    Words,
    element,
    field,
    fields,
    named_protocol,
    part,
    set_name,
)

_VERDICTS = ("accept", "drop", "return", "continue")
_MARKS = {"meta mark set": "mark", "mark set": "mark", "ct mark set": "ct_mark"}
_SETTABLE = {
    "ether saddr set": "smac",
    "ether daddr set": "dmac",
    "meta pkttype set": "pkttype",
    "ip ttl set": "ttl",
    "ip saddr set": "source",
    "ip daddr set": "destination",
    "arp operation set": "kind",
}
# What the fabric's answer to ARP does with the request's addresses (testbed.vpc.fabric.frames)
_CHANGE_PLACES = (
    "@nh,144,40 set @nh,104,40 arp saddr ip set arp daddr ip @nh,184,40 set @nh,144,40"
)
_RANDOM = ("random", "fully-random", "persistent")
_REJECTIONS = {"no-route": "net-unreachable", "reset": "RST"}
_BITWISE: Mapping[str, Callable[[int, int, int], tuple[int, int]]] = {
    # what a value does to the two numbers that stand for `(x & kept) ^ flipped`
    "&": lambda value, kept, flipped: (kept & value, flipped & value),
    "|": lambda value, kept, flipped: (kept & ~value, (flipped & ~value) | value),
    "^": lambda value, kept, flipped: (kept, flipped ^ value),
}
_OPERATORS = {"&": "&", "and": "&", "|": "|", "or": "|", "^": "^", "xor": "^"}


def action(words: Words) -> Action | None:
    """The action that comes next; None where a condition does.  Raises NotKnown, ValueError."""
    word = words.peek()
    if word in _VERDICTS:
        words.take()
        return Continue() if word == "continue" else Verdict(word)
    if word in ("jump", "goto"):
        words.take()
        return Jump(words.take(), goto=word == "goto")
    reader = _STATEMENTS.get(word)
    if reader is not None:
        words.take()
        return reader(words)
    return _assignment(words)


def verdict(text: str) -> Action:
    """A verdict as an element of a map has it: `goto service-ABC`."""
    return action(Words(text)) or NotUnderstood(f"verdict {text}")


def _assignment(words: Words) -> Action | None:
    if words.takes_text(_CHANGE_PLACES):
        return ChangePlaces()
    for names, target in _MARKS.items():
        if words.takes(*names.split()):
            return _set_mark(target, words)
    for names, target in _SETTABLE.items():
        if words.takes(*names.split()):
            return _set_field(target, words)
    return None


def _set_field(target: str, words: Words) -> SetField:
    """A literal, another field, or fields with the map that is asked for them."""
    try:
        looked_up, _ = fields(words)
    except NotKnown:
        value = part(words.take())
        if not isinstance(value, int | str):
            raise
        return SetField(target, value)
    if words.takes("map"):
        return SetField(target, fields=looked_up, map=set_name(words))
    [other] = looked_up
    return SetField(target, other=other.name)


def _set_mark(target: str, words: Words) -> SetMark | SetField:
    """`0x1`, `meta mark | 0x4000`, `ct mark & 0x80`, `iifname map @groups` …"""
    if target == "mark" and words.peek(1) == "map":
        return _set_field(target, words)
    source = ""
    kept, flipped = ALL_BITS, 0
    if words.peek()[:1].isdigit():
        kept, flipped = 0, int(words.take(), 0)
    else:
        source = field(words)[0].name
    while words.peek() in _OPERATORS:
        change = _BITWISE[_OPERATORS[words.take()]]
        kept, flipped = change(int(words.take(), 0), kept, flipped)
    if source in ("", target):
        return SetMark(target, ALL_BITS & ~kept, flipped)
    return SetMark(target, ALL_BITS, flipped, other=source, other_mask=kept)


def _reject(words: Words) -> Reject:
    if not words.takes("with"):
        return Reject("port-unreachable")
    words.take()  # icmp, icmpx or tcp
    words.takes("type")
    kind = words.take()
    return Reject(_REJECTIONS.get(kind, kind))


def _translate(side: str) -> Callable[[Words], Action]:
    def read(words: Words) -> Action:
        words.takes("ip")
        if not words.takes("to"):
            raise NotKnown
        if words.peek()[:1].isdigit() or words.peek().startswith(":"):
            host, _, ports = words.take().partition(":")
            to = int(IPv4Address(host)) if host else None
            if to is None:
                raise NotKnown
            return Translate(side, to, Range.of(ports), random=_randomness(words))
        looked_up, _ = fields(words)
        if not words.takes("map"):
            raise NotKnown
        name, elements = map_of(words, looked_up)
        return Translate(
            side, random=_randomness(words), fields=looked_up, map=name, elements=elements
        )

    return read


def _masquerade(words: Words) -> Action:
    ports = words.take().lstrip(":") if words.takes("to") else ""
    return Translate("source", None, Range.of(ports), random=_randomness(words))


def _randomness(words: Words) -> bool:
    found = False
    while words.peek() in (*_RANDOM, ","):
        found = words.take() in _RANDOM[:2] or found
    return found


def _draw(words: Words) -> Action:
    """`numgen random mod 2 vmap { 0 : goto a, 1 : goto b }`."""
    if not words.takes("random", "mod"):
        raise NotKnown
    return _drawn(words)


def _hash(words: Words) -> Action:
    """`jhash ip saddr . tcp sport mod 2 seed 0x1 vmap { … }`: a draw, for no port is known yet."""
    fields(words)
    if not words.takes("mod"):
        raise NotKnown
    return _drawn(words)


def _drawn(words: Words) -> Action:
    count = int(words.take())
    if words.takes("seed"):
        words.take()
    if not words.takes("vmap"):
        raise NotKnown
    name, elements = map_of(words, ())
    return Lookup(map=name, elements=elements, draw=count)


_STATEMENTS: Mapping[str, Callable[[Words], Action]] = {
    "reject": _reject,
    "masquerade": _masquerade,
    "snat": _translate("source"),
    "dnat": _translate("destination"),
    "numgen": _draw,
    "jhash": _hash,
}


def map_of(words: Words, of: tuple[Field, ...]) -> tuple[str, tuple[tuple[Element, str], ...]]:
    """`@name`, or the elements of a map without a name, with the text of their values."""
    if not words.takes("{"):
        return set_name(words), ()
    found: list[tuple[Element, str]] = []
    while not words.takes("}"):
        key = named_protocol(element(words), of) if of else element(words)
        if not words.takes(":"):
            raise NotKnown
        value = []
        while words.peek() not in (",", "}"):
            value.append(words.take())
        found.append((key, " ".join(value)))
        words.takes(",")
    return "", tuple(found)
