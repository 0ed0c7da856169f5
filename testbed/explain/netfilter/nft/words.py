"""The words of nft rules: fields of a packet, values, elements of sets."""

import re
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network

from testbed.explain.netfilter.conditions import (
    Condition,
    Element,
    Field,
    Matches,
    Part,
    Prefix,
    Range,
)
from testbed.net.netfilter.spelling import ICMP_CODES, ICMP_TYPES

_WORD = re.compile(r'"[^"]*"|[{},]|[^\s{},"]+')
_ADDRESS = r"\d+\.\d+\.\d+\.\d+"
_NETWORK = re.compile(rf"{_ADDRESS}/\d+")
_ADDRESSES = re.compile(rf"({_ADDRESS})-({_ADDRESS})")
_NUMBER = re.compile(r"0x[0-9a-fA-F]+|\d+")
_NUMBERS = re.compile(rf"({_NUMBER.pattern})-({_NUMBER.pattern})")
ICMP_NUMBERS = {name: number for number, name in ICMP_TYPES.items()}
ICMP_NUMBERS |= {name: int(number) for number, name in ICMP_CODES.items()}
_PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp"}


class NotKnown(Exception):
    """A word that is not known here."""


# A field's name in rules, its attribute of a packet, and what it takes for granted
_FIELDS: Mapping[str, tuple[str, str]] = {
    "iif": ("iif", ""),
    "oif": ("oif", ""),
    "iifname": ("iif", ""),
    "oifname": ("oif", ""),
    "meta iifname": ("iif", ""),
    "meta oifname": ("oif", ""),
    "ether saddr": ("smac", ""),
    "ether daddr": ("dmac", ""),
    "ether type": ("ethertype", ""),
    "meta protocol": ("ethertype", ""),
    "meta pkttype": ("pkttype", ""),
    "meta mark": ("mark", ""),
    "mark": ("mark", ""),
    "ct mark": ("ct_mark", "ct"),
    "ct direction": ("direction", "ct"),
    "rt ip nexthop": ("next_hop", ""),
    "ip saddr": ("source", "ip"),
    "ip daddr": ("destination", "ip"),
    "ip protocol": ("protocol", "ip"),
    "ip ttl": ("ttl", "ip"),
    "ip frag-off": ("fragment", "ip"),
    "meta l4proto": ("protocol", ""),
    "th sport": ("sport", "th"),
    "th dport": ("dport", "th"),
    "tcp sport": ("sport", "tcp"),
    "tcp dport": ("dport", "tcp"),
    "udp sport": ("sport", "udp"),
    "udp dport": ("dport", "udp"),
    "icmp type": ("icmp_type", "icmp"),
    "icmp code": ("icmp_code", "icmp"),
    "arp operation": ("kind", "arp"),
    "arp saddr ip": ("source", "arp"),
    "arp daddr ip": ("destination", "arp"),
}

# What naming a field takes for granted
IMPLIED: Mapping[str, tuple[Condition, ...]] = {
    "": (),
    "ct": (Matches((Field("state"),), (("invalid",), ("untracked",)), negated=True),),
    "ip": (Matches((Field("ethertype"),), (("ip",),)),),
    "arp": (Matches((Field("ethertype"),), (("arp",),)),),
    "icmp": (Matches((Field("protocol"),), (("icmp",),)),),
    "tcp": (Matches((Field("protocol"),), (("tcp",),)),),
    "udp": (Matches((Field("protocol"),), (("udp",),)),),
    "th": (Matches((Field("protocol"),), (("tcp",), ("udp",))),),
}


class Words:
    """The words of a rule, taken one by one (state: how far)."""

    def __init__(self, text: str) -> None:
        self._words = _WORD.findall(text)
        self._place = 0

    def __bool__(self) -> bool:
        return self._place < len(self._words)

    def __str__(self) -> str:
        return " ".join(self._words[self._place :])

    def peek(self, ahead: int = 0) -> str:
        """A word that is left there; empty behind the end."""
        place = self._place + ahead
        return self._words[place] if place < len(self._words) else ""

    def take(self) -> str:
        """The next word.  Raises NotKnown at the end."""
        if not self:
            raise NotKnown
        self._place += 1
        return str(self._words[self._place - 1])

    def meters(self) -> bool:
        """Whether an update of a set comes next that is a condition: above a rate."""
        left = self._words[self._place :]
        inside = left[: left.index("}")] if "}" in left else left
        return left[:1] == ["update"] and "over" in inside

    def takes(self, *words: str) -> bool:
        """Whether these words come next; then they are taken."""
        found = all(self.peek(i) == word for i, word in enumerate(words))
        if found:
            self._place += len(words)
        return found

    def takes_text(self, text: str) -> bool:
        """The same with the words of a text."""
        return self.takes(*_WORD.findall(text))


def field(words: Words) -> tuple[Field, tuple[Condition, ...]]:
    """The field that is named next, and what naming it takes for granted.  Raises NotKnown."""
    for length in (3, 2, 1):
        name = " ".join(words.peek(i) for i in range(length))
        if name in _FIELDS:
            for _ in range(length):
                words.take()
            attribute, implied = _FIELDS[name]
            return Field(attribute), IMPLIED[implied]
    raise NotKnown


def fields(words: Words) -> tuple[tuple[Field, ...], tuple[Condition, ...]]:
    """Fields joined by dots.  Raises NotKnown."""
    found = [field(words)]
    while words.takes("."):
        found.append(field(words))
    implied = dict.fromkeys(condition for _, conditions in found for condition in conditions)
    return tuple(one for one, _ in found), tuple(implied)


def set_name(words: Words) -> str:
    """The name behind an `@`.  Raises NotKnown."""
    word = words.take()
    if not word.startswith("@"):
        raise NotKnown
    return word[1:]


def part(word: str) -> Part:
    """A value: a number for addresses, marks and ports, a text for names and states."""
    if word.startswith('"'):
        name = word.strip('"')
        return Prefix(name[:-1]) if name.endswith("*") else name
    if _NETWORK.fullmatch(word):
        network = IPv4Network(word)
        return Range(int(network.network_address), int(network.broadcast_address))
    if both := _ADDRESSES.fullmatch(word):
        return Range(int(IPv4Address(both[1])), int(IPv4Address(both[2])))
    if both := _NUMBERS.fullmatch(word):
        return Range(int(both[1], 0), int(both[2], 0))
    if re.fullmatch(_ADDRESS, word):
        return int(IPv4Address(word))
    return int(word, 0) if _NUMBER.fullmatch(word) else ICMP_NUMBERS.get(word, word)


def element(words: Words) -> Element:
    """Values joined by dots."""
    parts = [part(words.take())]
    while words.takes("."):
        parts.append(part(words.take()))
    return tuple(parts)


def element_of(text: str) -> Element:
    """An element as a set's facts have it; comments and times are left out."""
    return element(Words(text))


def named_protocol(element: Element, fields: tuple[Field, ...]) -> Element:
    """Protocol numbers by their names: rules may have either."""
    return tuple(
        _PROTOCOLS.get(value, str(value))
        if one.name == "protocol" and isinstance(value, int)
        else value
        for value, one in zip(element, fields, strict=False)
    )
