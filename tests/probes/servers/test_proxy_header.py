"""What a server understands of the PROXY protocol."""

import struct
from ipaddress import IPv4Address

import pytest

from testbed.probes.servers.proxy_header import SIGNATURE, proxy_header

ADDRESSES = IPv4Address("203.0.113.10").packed + IPv4Address("10.0.1.4").packed
CLIENT = ADDRESSES + struct.pack(">HH", 40000, 80)
MORE = b"\xea\x00\x01x"  # a TLV: of AWS' own, the VPC endpoint


def header(command: int, body: bytes, family: int = 0x11) -> bytes:
    return SIGNATURE + struct.pack(">BBH", command, family, len(body)) + body


@pytest.mark.parametrize(
    ("said", "client"),
    [
        (b"PROXY TCP4 203.0.113.10 10.0.1.4 40000 80\r\n", "203.0.113.10:40000"),
        (header(0x21, CLIENT), "203.0.113.10:40000"),
        (header(0x21, CLIENT + MORE), "203.0.113.10:40000"),
        (header(0x20, b"", 0), ""),
        (header(0x21, b"/run/a\0", 0x31), ""),
    ],
)
def test_it_is_read_and_taken_off(said: bytes, client: str) -> None:
    """Also where the proxy speaks for itself, as in health checks."""
    assert proxy_header(said + b"GET /") == (client, len(said))


@pytest.mark.parametrize("said", [b"GET / HTTP/1.1", header(0x21, CLIENT)[:20], SIGNATURE[:5]])
def test_anything_else_is_the_clients(said: bytes) -> None:
    assert proxy_header(said) == ("", 0)
