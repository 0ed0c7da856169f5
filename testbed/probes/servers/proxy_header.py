"""The PROXY protocol, with which a proxy tells a server who called: once, before everything else.

Source: haproxy, doc/proxy-protocol.txt, sections 2.1 and 2.2.
"""

import re
import struct
from ipaddress import IPv4Address

LINE = re.compile(rb"PROXY TCP4 ([0-9.]{7,15}) [0-9.]{7,15} ([0-9]{1,5}) [0-9]{1,5}\r\n")
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
HEADER = struct.Struct(">12sBBH")  # signature; version and command; family and protocol; length
TCP4 = struct.Struct(">4s4sHH")  # source, destination, and their ports
LOCAL, PROXY = 0x20, 0x21  # version 2: the proxy speaks for itself, or for a client
OVER_TCP4 = 0x11


def proxy_header(received: bytes) -> tuple[str, int]:
    """The client that a connection's first bytes tell of, and how many bytes say so.

    The client is empty, and the bytes are none, where no proxy says anything.
    """
    if line := LINE.match(received):
        return f"{line[1].decode()}:{line[2].decode()}", line.end()
    if not received.startswith(SIGNATURE) or len(received) < HEADER.size:
        return "", 0
    _, command, family, length = HEADER.unpack_from(received)
    end = HEADER.size + length
    if end > len(received):
        return "", 0
    if command == PROXY and family == OVER_TCP4 and length >= TCP4.size:
        source, _, port, _ = TCP4.unpack_from(received, HEADER.size)
        return f"{IPv4Address(source)}:{port}", end
    return "", end if command in (LOCAL, PROXY) else 0
