"""Rules of iptables taken apart, from what `iptables-save` prints after `-A CHAIN`.

What is not known here becomes `NotUnderstood`, never a guess.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from ipaddress import IPv4Network

from testbed.explain.netfilter.conditions import (
    REMEMBERED,
    AddressType,
    Chance,
    Condition,
    Continue,
    Element,
    Field,
    Matches,
    NotUnderstood,
    ParsedRule,
    Prefix,
    Range,
    Tracked,
)
from testbed.explain.netfilter.iptables.targets import mark_and_mask, target

_WORD = re.compile(r'"((?:[^"\\]|\\.)*)"|(\S+)')
_TYPES = frozenset({"LOCAL", "UNICAST", "BROADCAST", "MULTICAST"})
_PROTOCOLS = {"1": "icmp", "6": "tcp", "17": "udp", "icmp": "icmp", "tcp": "tcp", "udp": "udp"}

_OF_LIST = ("--name", "--mask", "--seconds", "--hitcount")  # of `recent`; each has a value
_NO_VALUE = frozenset(
    {
        *("--physdev-is-in", "--physdev-is-out", "--physdev-is-bridged"),
        *("--limit-iface-in", "--limit-iface-out"),
    }
)


class _NotKnown(Exception):
    """A word that is not known here."""


class _Words:
    """The words of a rule, taken one by one (state: how far)."""

    def __init__(self, text: str) -> None:
        self._words: list[str] = [quoted or plain for quoted, plain in _WORD.findall(text)]
        self._place = 0

    def __bool__(self) -> bool:
        return self._place < len(self._words)

    def take(self) -> str:
        """The next word.  Raises _NotKnown at the end."""
        if not self:
            raise _NotKnown("")
        self._place += 1
        return self._words[self._place - 1]

    def rest(self) -> list[str]:
        """All that are left."""
        words = self._words[self._place :]
        self._place = len(self._words)
        return words

    def has(self, word: str) -> bool:
        """Whether a word is among those left."""
        return word in self._words[self._place :]


def parse(text: str) -> ParsedRule:
    """A rule's conditions and its target."""
    words = _Words(text)
    conditions: list[Condition] = []
    module = ""
    try:
        while words:
            word = words.take()
            if word in ("-j", "-g"):
                action = target(words.take(), words.rest(), goto=word == "-g")
                return ParsedRule(tuple(conditions), (action,))
            if word == "-m":
                module = words.take()
            else:
                conditions += _condition(word, words, module)
    except _NotKnown as what:
        return ParsedRule((*conditions, NotUnderstood(f"match {what}")), ())
    return ParsedRule(tuple(conditions), (Continue(),))


def _condition(word: str, words: _Words, module: str) -> Iterator[Condition]:
    negated = word == "!"
    option = words.take() if negated else word
    if option == "--comment":
        words.take()
        return
    if module == "recent":
        yield from _recent(option, words)
        return
    if option == "--mode":
        yield _chance(words)
        return
    if option == "--tcp-flags":
        yield _flags(words, negated)
        return
    if option in ("--limit-iface-in", "--limit-iface-out"):
        return  # read with the address type it belongs to
    if option in ("--dst-type", "--src-type"):
        yield _address_type(option, words, negated)
        return
    reader = _READERS.get((module, option)) or _READERS.get(("", option))
    if reader is None:
        raise _NotKnown(f"{module} {option}".strip())
    value = "" if option in _NO_VALUE else words.take()
    yield from reader(value, negated)


def _recent(option: str, words: _Words) -> Iterator[Chance]:
    """kube-proxy's session affinity: whether the client is in a list, which no fact tells."""
    if option in _OF_LIST:
        words.take()
    elif option in ("--rcheck", "--update"):
        yield REMEMBERED
    elif option not in ("--set", "--remove", "--reap", "--rsource", "--rdest", "--rttl"):
        raise _NotKnown(f"recent {option}")


def _address_type(option: str, words: _Words, negated: bool) -> AddressType:
    types = frozenset(words.take().split(","))
    if not types <= _TYPES:
        raise _NotKnown(f"addrtype {','.join(sorted(types))}")
    limits = {"--limit-iface-in": "iif", "--limit-iface-out": "oif"}
    return AddressType(
        "destination" if option == "--dst-type" else "source",
        frozenset(name.lower() for name in types),
        device=next((dev for limit, dev in limits.items() if words.has(limit)), ""),
        negated=negated,
    )


def _chance(words: _Words) -> Chance:
    mode = words.take()
    if mode != "random" or words.take() != "--probability":
        raise _NotKnown(f"statistic --mode {mode}")
    return Chance(float(words.take()))


# Which kinds of packets have the second flags of the first (iptables-extensions(8), tcp)
_FLAGS = {("SYN,RST", "SYN"): ("SYN", "SYN,ACK"), ("FIN,SYN,RST,ACK", "SYN"): ("SYN",)}


def _flags(words: _Words, negated: bool) -> Matches:
    asked = words.take(), words.take()
    if asked not in _FLAGS:
        raise _NotKnown(f"tcp --tcp-flags {' '.join(asked)}")
    return Matches((Field("kind"),), tuple((kind,) for kind in _FLAGS[asked]), negated=negated)


Reader = Callable[[str, bool], Iterator[Condition]]


def _network(field: str) -> Reader:
    def read(value: str, negated: bool) -> Iterator[Condition]:
        elements = tuple((network(part),) for part in value.split(","))
        yield Matches((Field(field),), elements, negated=negated)

    return read


def network(text: str) -> Range:
    """`10.0.0.0/8` as the numbers it has.  Raises _NotKnown."""
    try:
        found = IPv4Network(text)
    except ValueError:
        raise _NotKnown(text) from None
    return Range(int(found.network_address), int(found.broadcast_address))


def _device(field: str) -> Reader:
    def read(value: str, negated: bool) -> Iterator[Condition]:
        name: Element = (Prefix(value[:-1]),) if value.endswith("+") else (value,)
        yield Matches((Field(field),), (name,), negated=negated)

    return read


def _some_device(field: str) -> Reader:
    """`--physdev-is-in`: any device at all."""

    def read(_: str, negated: bool) -> Iterator[Condition]:
        yield Matches((Field(field),), (("",),), negated=not negated)

    return read


def _ports(*fields: str) -> Reader:
    def read(value: str, negated: bool) -> Iterator[Condition]:
        if len(fields) > 1:
            raise _NotKnown("multiport --ports")
        elements = tuple((_port_range(part),) for part in value.split(","))
        yield Matches((Field(fields[0]),), elements, negated=negated)

    return read


def _port_range(text: str) -> Range:
    first, colon, last = text.partition(":")
    return Range(int(first or 0), int(last or 65535) if colon else int(first))


def _marked(field: str) -> Reader:
    def read(value: str, negated: bool) -> Iterator[Condition]:
        mark, mask = mark_and_mask(value)
        yield Matches((Field(field, mask),), ((mark,),), negated=negated)

    return read


def _states(value: str, negated: bool) -> Iterator[Condition]:
    yield Tracked(frozenset(value.lower().split(",")), negated)


def _protocol(value: str, negated: bool) -> Iterator[Condition]:
    if value not in ("all", "0"):
        yield Matches((Field("protocol"),), ((_PROTOCOLS.get(value, value),),), negated=negated)


def _icmp_type(value: str, negated: bool) -> Iterator[Condition]:
    """`8`, or `3/4` with its code."""
    kind, _, code = value.partition("/")
    if not kind.isdigit():
        raise _NotKnown(f"icmp type {value}")
    fields: tuple[Field, ...] = (Field("icmp_type"),)
    element: Element = (int(kind),)
    if code:
        fields, element = (*fields, Field("icmp_code")), (*element, int(code))
    yield Matches(fields, (element,), negated=negated)


def _ttl(first: int, last: int) -> Reader:
    """first, last: what is added to the value for the ends of the range; 0 and 255 at most."""

    def read(value: str, negated: bool) -> Iterator[Condition]:
        number = int(value)
        within = Range(max(0, number + first), min(255, number + last))
        yield Matches((Field("ttl"),), ((within,),), negated=negated)

    return read


_READERS: Mapping[tuple[str, str], Reader] = {
    ("", "-s"): _network("source"),
    ("", "-d"): _network("destination"),
    ("", "-i"): _device("iif"),
    ("", "-o"): _device("oif"),
    ("", "-p"): _protocol,
    ("tcp", "--dport"): _ports("dport"),
    ("udp", "--dport"): _ports("dport"),
    ("tcp", "--sport"): _ports("sport"),
    ("udp", "--sport"): _ports("sport"),
    ("multiport", "--dports"): _ports("dport"),
    ("multiport", "--sports"): _ports("sport"),
    ("multiport", "--ports"): _ports("sport", "dport"),
    ("icmp", "--icmp-type"): _icmp_type,
    ("mark", "--mark"): _marked("mark"),
    ("connmark", "--mark"): _marked("ct_mark"),
    ("conntrack", "--ctstate"): _states,
    ("state", "--state"): _states,
    ("ttl", "--ttl-eq"): _ttl(0, 0),
    ("ttl", "--ttl-lt"): _ttl(-255, -1),
    ("ttl", "--ttl-gt"): _ttl(1, 255),
    ("physdev", "--physdev-in"): _device("physin"),
    ("physdev", "--physdev-out"): _device("physout"),
    ("physdev", "--physdev-is-in"): _some_device("physin"),
    ("physdev", "--physdev-is-out"): _some_device("physout"),
}
