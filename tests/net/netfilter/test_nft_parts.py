"""A script as several transactions: one that is too long, or that removes too early."""

from testbed.net.facts import NftElement, NftSet
from testbed.net.netfilter.nft import LINES_A_PART, parts, script, without_deleted_chains

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


def test_the_removal_of_chains_can_wait() -> None:
    """Linux before 6.2 calls a chain busy whose map's element went in the same transaction."""
    text = "flush chain ip t a\ndelete chain ip t a\nadd chain ip t b\n"

    assert without_deleted_chains(text) == (
        "flush chain ip t a\nadd chain ip t b\n",
        "delete chain ip t a\n",
    )
