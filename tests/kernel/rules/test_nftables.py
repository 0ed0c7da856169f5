"""What the kernel wants to be told of a rule, and does not tell."""

import struct

import pytest

from testbed.kernel.netlink.wire import attribute, attribute_text
from testbed.kernel.rules import nftables

# linux/netfilter/nf_tables.h
TABLE, CHAIN, EXPRESSIONS, COMPAT = 1, 2, 4, 5
LIST_ELEMENT, NAME, DATA = 1, 1, 2
TCP = 6
EQUAL, UNEQUAL = 0, 1
NOT_THAT = 2  # NFT_RULE_COMPAT_F_INV


def _number(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack(">I", value))


def _expression(name: str, *data: bytes) -> bytes:
    return attribute(LIST_ELEMENT, attribute_text(NAME, name) + attribute(DATA, b"".join(data)))


def _payload(base: int, offset: int, length: int) -> bytes:
    """`ip protocol` is `@nh,72,8`: a byte of the network header."""
    return _expression(
        "payload", _number(1, 1), _number(2, base), _number(3, offset), _number(4, length)
    )


def _compare(operation: int) -> bytes:
    value = attribute(3, attribute(1, bytes([TCP])))
    return _expression("cmp", _number(1, 1), _number(2, operation), value)


L4PROTO = _expression("meta", _number(1, 1), _number(2, 16))
LENGTH = _expression("meta", _number(1, 1), _number(2, 0))
IP_PROTOCOL = _payload(1, 9, 1)
MATCH = _expression("match", attribute_text(1, "tcp"))
COUNTER = _expression("counter", attribute(1, bytes(8)), attribute(2, bytes(8)))


def _compat(*expressions: bytes) -> bytes:
    """What is added to such a rule."""
    known = attribute(EXPRESSIONS, b"".join(expressions))
    place = attribute_text(TABLE, "nat") + attribute_text(CHAIN, "KUBE-SERVICES")
    (table, chain), settings = nftables.rule_settings(place + known)
    assert (table, chain) == ("nat", "KUBE-SERVICES")
    assert settings.startswith(known)
    return settings[len(known) :]


@pytest.mark.parametrize(("operation", "flags"), [(EQUAL, 0), (UNEQUAL, NOT_THAT)])
@pytest.mark.parametrize("loaded", [L4PROTO, IP_PROTOCOL], ids=["1.8.10", "1.8.11"])
def test_the_protocol_of_a_match_is_what_the_rule_compares(
    loaded: bytes, operation: int, flags: int
) -> None:
    """`-p tcp -m tcp`: xt's match asks whether the rule is of that protocol."""
    wanted = attribute(COMPAT, _number(1, TCP) + _number(2, flags))

    assert _compat(loaded, _compare(operation), MATCH, COUNTER) == wanted


@pytest.mark.parametrize(
    "expressions",
    [
        pytest.param([IP_PROTOCOL, _compare(EQUAL), COUNTER], id="no match of xt's"),
        pytest.param([_payload(1, 8, 1), _compare(EQUAL), MATCH], id="the TTL"),
        pytest.param([_payload(1, 9, 2), _compare(EQUAL), MATCH], id="a byte more"),
        pytest.param([_payload(2, 9, 1), _compare(EQUAL), MATCH], id="of the TCP header"),
        pytest.param([LENGTH, _compare(EQUAL), MATCH], id="meta length"),
        pytest.param([IP_PROTOCOL, COUNTER, _compare(EQUAL), MATCH], id="not compared"),
    ],
)
def test_another_comparison_says_no_protocol(expressions: list[bytes]) -> None:
    """Nothing is added to such a rule."""
    assert _compat(*expressions) == b""
