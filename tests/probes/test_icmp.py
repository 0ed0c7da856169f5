"""ICMP echo as bytes."""

from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st

from testbed.probes import icmp

TOKEN = b"12345678"


def ip_header(source: str, *, options: bytes = b"") -> bytes:
    first = bytes([0x45 + len(options) // 4])
    return first + bytes(11) + IPv4Address(source).packed + bytes(4) + options


def test_a_request_has_type_code_checksum_identifier_sequence_and_token() -> None:
    assert icmp.request(0x1234, 1, TOKEN).hex() == "080014f6123400013132333435363738"


@given(st.integers(0, 65535), st.integers(0, 65535), st.binary(min_size=8, max_size=8))
def test_the_words_of_a_request_add_up_to_all_ones(
    identifier: int, sequence: int, token: bytes
) -> None:
    """RFC 1071: that is how a receiver checks it."""
    packet = icmp.request(identifier, sequence, token)

    total = sum(int.from_bytes(packet[i : i + 2], "big") for i in range(0, len(packet), 2))

    assert total % 0xFFFF == 0


def test_a_reply_is_read_behind_an_ip_header_with_options_too() -> None:
    reply = b"\0" + icmp.request(7, 9, TOKEN)[1:]
    expected = (IPv4Address("10.0.1.5").packed, icmp.ECHO_REPLY, 0, 7, 9, TOKEN)

    assert icmp.message(ip_header("10.0.1.5") + reply) == expected
    assert icmp.message(ip_header("10.0.1.5", options=bytes(8)) + reply) == expected


def test_an_error_names_the_request_it_is_about_and_who_says_it() -> None:
    request = icmp.request(7, 9, TOKEN)
    packet = ip_header("10.0.0.1") + bytes([11, 0]) + bytes(6) + ip_header("10.0.1.5") + request

    about = icmp.error(packet)

    assert about is not None
    assert (about[0].sequence, about[0].token) == (9, TOKEN)
    assert about[1] == "Time to live exceeded, says 10.0.0.1"


@given(st.binary(max_size=100))
def test_no_packet_breaks_it(packet: bytes) -> None:
    icmp.message(packet)
    icmp.error(packet)
