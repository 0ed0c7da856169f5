"""Rules of nft taken apart, from what `nft list` prints.

Known is what the fabric and kube-proxy's nftables mode use.  What is not becomes `NotUnderstood`,
never a guess.
"""

from collections.abc import Iterator

from testbed.explain.netfilter.conditions import (
    ALL_BITS,
    Action,
    AddressType,
    Chance,
    Condition,
    Continue,
    Element,
    Field,
    Lookup,
    LowerMss,
    Matches,
    NotUnderstood,
    ParsedRule,
    Range,
    Reject,
    Tracked,
)
from testbed.explain.netfilter.nft.actions import action, map_of
from testbed.explain.netfilter.nft.words import (
    IMPLIED,
    NotKnown,
    Words,
    element,
    fields,
    named_protocol,
    set_name,
)

RESET = Reject("RST")  # of TCP alone: nft asks for the protocol, and does not print that
_LOG_WORDS = ("prefix", "level", "flags", "group", "snaplen", "queue-threshold")
# Of an ARP answer: those of its frame once more
_MACS_INSIDE = "arp saddr ether set ether saddr", "arp daddr ether set ether daddr"
_SEGMENT_SIZE = "tcp option maxseg size set rt mtu"
EXCEEDED = 0.001  # how often a rate is no fact tells: only that it may be
_LARGEST = {"ttl": 255, "sport": 65535, "dport": 65535}


def parse(text: str) -> ParsedRule:
    """A rule's conditions and what it does."""
    words = Words(text)
    conditions: list[Condition] = []
    actions: list[Action] = []
    left = text
    try:
        while words:
            left = str(words)
            if not _is_idle(words):
                _statement(words, conditions, actions)
    except (NotKnown, ValueError):
        return ParsedRule((*conditions, NotUnderstood(f"match {left}")), tuple(actions))
    return ParsedRule(tuple(conditions), tuple(actions) or (Continue(),))


def _statement(words: Words, conditions: list[Condition], actions: list[Action]) -> None:
    """The next condition or action, to where it belongs.  Raises NotKnown, ValueError."""
    if words.takes_text(_SEGMENT_SIZE):  # of another protocol it is no match: nft_exthdr.c
        conditions.append(Matches((Field("protocol"),), (("tcp",),)))
        actions.append(LowerMss())
        return
    done = action(words)
    if done is not None:
        actions.append(done)
        conditions += IMPLIED["tcp"] if done == RESET else ()
        return
    if actions:
        raise NotKnown  # a condition behind an action
    special = _tracked(words) or _address_type(words) or _over_a_rate(words)
    if special is not None:
        conditions.append(special)
        return
    looked_up, implied = fields(words)
    conditions += implied
    looked_up = _masked(looked_up, words)
    if words.takes("vmap"):
        name, elements = map_of(words, looked_up)
        actions.append(Lookup(looked_up, name, elements))
    else:
        conditions.append(_comparison(looked_up, words))


def _is_idle(words: Words) -> bool:
    """Whether a statement comes next that changes no packet's way; then it is taken."""
    if words.takes("comment"):
        words.take()
    elif words.takes("counter"):
        if words.takes("packets"):
            words.take()
            words.takes("bytes")
            words.take()
    elif words.takes("log"):
        while words.peek() in _LOG_WORDS:
            words.take()
            words.take()
    elif words.peek() in ("update", "add", "delete") and not words.meters():
        while words.take() != "}":
            pass
    else:
        return words.takes("meta", "nftrace", "set", "1") or any(
            words.takes_text(one) for one in _MACS_INSIDE
        )
    return True


def _tracked(words: Words) -> Condition | None:
    """`ct state established,related`, `ct status dnat`."""
    if not (words.takes("ct", "state") or words.takes("ct", "status")):
        return None
    negated = words.takes("!=")
    words.takes("==")
    braces = words.takes("{")
    found = [words.take()]
    while words.takes(","):
        found.append(words.take())
    if braces:
        words.take()
    return Tracked(frozenset(found), negated)


def _over_a_rate(words: Words) -> Condition | None:
    """`update @rates { iifname limit rate over 1024/second … }`: it may be, and mostly is not."""
    if words.peek() != "update":
        return None
    while words.take() != "}":
        pass
    return Chance(EXCEEDED)


def _address_type(words: Words) -> Condition | None:
    """`fib daddr type local`, `fib daddr . iif type local`."""
    if not words.takes("fib"):
        return None
    sides = {"daddr": "destination", "saddr": "source"}
    side = sides.get(words.take())
    device = words.take() if words.takes(".") else ""
    if side is None or not words.takes("type"):
        raise NotKnown
    negated = words.takes("!=")
    return AddressType(side, frozenset({words.take()}), device, negated)


def _masked(looked_up: tuple[Field, ...], words: Words) -> tuple[Field, ...]:
    """`meta mark & 0x1`: the field, with the bits that count."""
    if words.peek() not in ("&", "and"):
        return looked_up
    words.take()
    return (Field(looked_up[0].name, int(words.take(), 0)),)


def _comparison(looked_up: tuple[Field, ...], words: Words) -> Condition:
    operator = words.take() if words.peek() in ("==", "!=", "<", ">", "<=", ">=") else "=="
    negated = operator == "!="
    if words.peek().startswith("@"):
        return Matches(looked_up, set=set_name(words), negated=negated)
    elements = tuple(_values(words))
    if operator in ("<", ">", "<=", ">="):
        elements = (_side(looked_up[0], operator, elements),)
    elements = tuple(named_protocol(one, looked_up) for one in elements)
    return Matches(looked_up, elements, negated=negated)


def _values(words: Words) -> Iterator[Element]:
    """`{ icmp, tcp }`, or one value."""
    if not words.takes("{"):
        yield element(words)
        return
    while not words.takes("}"):
        yield element(words)
        words.takes(",")


def _side(of: Field, operator: str, elements: tuple[Element, ...]) -> Element:
    """The numbers on one side of a limit."""
    limit = elements[0][0]
    if not isinstance(limit, int):
        raise NotKnown
    largest = _LARGEST.get(of.name, ALL_BITS)
    ranges = {
        "<": Range(0, limit - 1),
        "<=": Range(0, limit),
        ">": Range(limit + 1, largest),
        ">=": Range(limit, largest),
    }
    return (ranges[operator],)
