"""What a netfilter rule asks of a packet and does to it, as values: iptables' and nft's alike.

A field is an attribute of `Packet`.  Addresses are numbers, names and states are texts.
"""

from dataclasses import dataclass

ALL_BITS = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from first to last; a network is one."""

    first: int
    last: int

    @classmethod
    def of(cls, text: str) -> "Range | None":
        """Of ports, as both tools write them: `8080`, `1024-65535`; none for nothing."""
        if not text:
            return None
        first, _, last = text.partition("-")
        return cls(int(first), int(last or first))


@dataclass(frozen=True, slots=True)
class Prefix:
    """Names that begin so: `eni+` of iptables, `"eni*"` of nft."""

    text: str


Part = int | str | Range | Prefix
Element = tuple[Part, ...]  # a part for each field


@dataclass(frozen=True, slots=True)
class Field:
    """An attribute of the packet, and the bits of it that count."""

    name: str
    mask: int = ALL_BITS


@dataclass(frozen=True, slots=True)
class Matches:
    """The fields, one after the other, are one of the elements, or one of a named set's."""

    fields: tuple[Field, ...]
    elements: tuple[Element, ...] = ()
    set: str = ""
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Tracked:
    """Conntrack has one of these words for the packet: new, established, related, dnat …"""

    words: frozenset[str]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class AddressType:
    """The address is of one of these types (local, broadcast …) to this namespace.

    device: the field with the device to which the question is limited; empty for all devices.
    """

    field: str
    types: frozenset[str]
    device: str = ""
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Chance:
    """True so often, whatever the packet: `statistic --mode random`.

    A list of clients that were here lately is taken for one of two: both ways are followed.
    """

    probability: float


REMEMBERED = Chance(0.5)  # whether the list, iptables' `recent` or a dynamic set, has the client


@dataclass(frozen=True, slots=True)
class NotUnderstood:
    """A match or target that this package does not know: the rule's effect is unknown."""

    text: str


Condition = Matches | Tracked | AddressType | Chance | NotUnderstood


@dataclass(frozen=True, slots=True)
class Continue:
    """On to the next rule: a target without effect on the packet (LOG, none at all)."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """accept, drop or return."""

    word: str


@dataclass(frozen=True, slots=True)
class Jump:
    """To another chain, and back afterwards unless `goto`."""

    chain: str
    goto: bool = False


@dataclass(frozen=True, slots=True)
class Reject:
    """Dropped, and the sender is told: an ICMP error's kind, or `RST`."""

    kind: str


@dataclass(frozen=True, slots=True)
class SetMark:
    """field = (field & ~mask) ^ value, with the bits of another field besides.

    field, other: `mark` (the packet's) or `ct_mark` (its connection's).
    """

    field: str
    mask: int = ALL_BITS
    value: int = 0
    other: str = ""
    other_mask: int = ALL_BITS


@dataclass(frozen=True, slots=True)
class SetField:
    """A field gets a value: a literal, another field's, or a map's for some (else no match)."""

    field: str
    value: int | str = ""
    other: str = ""
    fields: tuple[Field, ...] = ()
    map: str = ""


@dataclass(frozen=True, slots=True)
class ChangePlaces:
    """The two addresses of an ARP request change places: who asked is answered."""


@dataclass(frozen=True, slots=True)
class LowerMss:
    """TCP's segments become no larger than this, or than the routes of both ways carry (0).

    xt_TCPMSS.c, nft_exthdr.c and nft_rt.c; none of them ever raises it.
    """

    most: int = 0


@dataclass(frozen=True, slots=True)
class ChangeTtl:
    """The TTL grows or shrinks."""

    by: int


@dataclass(frozen=True, slots=True)
class Translate:
    """Source or destination NAT of a connection's first packet.

    address: none for one that is looked up, or, without a map, for the out device's own.
    ports: those to choose from; the packet's own stays if it is among them.
    """

    side: str  # source, destination
    address: int | None = None
    ports: Range | None = None
    random: bool = False
    fields: tuple[Field, ...] = ()
    map: str = ""
    elements: tuple[tuple[Element, str], ...] = ()  # of a map without a name


@dataclass(frozen=True, slots=True)
class Lookup:
    """`vmap`: the verdict that a map has for fields; without an entry on to the next rule.

    draw: how many numbers, from 0, one is drawn of (`numgen random`), in place of fields.
    """

    fields: tuple[Field, ...] = ()
    map: str = ""
    elements: tuple[tuple[Element, str], ...] = ()
    draw: int = 0


Action = (
    Continue
    | Verdict
    | Jump
    | Reject
    | SetMark
    | SetField
    | ChangePlaces
    | ChangeTtl
    | LowerMss
    | Translate
    | Lookup
    | NotUnderstood
)


@dataclass(frozen=True, slots=True)
class ParsedRule:
    """A rule taken apart; its actions are done one after the other."""

    conditions: tuple[Condition, ...]
    actions: tuple[Action, ...]
