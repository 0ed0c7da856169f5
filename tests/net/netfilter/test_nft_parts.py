"""A script that is too long for one transaction, as several."""

from testbed.net.facts import NftElement, NftSet
from testbed.net.netfilter.nft import LINES_A_PART, parts, script

KNOWN = NftSet(ns="v", family="bridge", table="vpc", name="known", key_type="ipv4_addr")


def _element(number: int) -> NftElement:
    address = f"10.0.{number // 256}.{number % 256}"
    return NftElement(ns="v", family="bridge", table="vpc", set="known", element=address)


def test_parts_are_whole_commands_in_order() -> None:
    """An element list is cut between elements, and nothing is lost or moved."""
    text = script([], [KNOWN, *map(_element, range(2 * LINES_A_PART + 7))])

    pieces = list(parts(text))

    assert "".join(pieces) == text
    assert len(pieces) == 3
    assert all(piece.startswith("add ") for piece in pieces)
    assert all(piece.count("\n") <= LINES_A_PART + 4 for piece in pieces)


def test_a_short_script_is_one_part() -> None:
    """One transaction is what everybody wants."""
    text = script([], [KNOWN])

    assert list(parts(text)) == [text]
