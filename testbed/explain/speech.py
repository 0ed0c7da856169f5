"""What is said once a TCP connection is open, where its first packet does not tell enough.

Data of a size that was asked for; or, to the instance metadata service, the request for a token.
"""

from testbed.explain.journey import Header
from testbed.net.facts import IpAddress
from testbed.net.served import metadata

DATA = "PSH,ACK"  # the kind of a packet that ends what was said


def speaks(header: Header) -> bool:
    """Whether the packet to follow is the first with data, not the one that opens."""
    return header.protocol == "tcp" and (header.size > 0 or asks_metadata(header))


def asks_metadata(header: Header) -> bool:
    """Whether it goes to the instance metadata service."""
    called = header.destination, header.destination_port
    return header.protocol == "tcp" and called == (metadata.ADDRESS, metadata.PORT)


def expired(source: IpAddress) -> str:
    """The code of a packet whose TTL is used up: a token's is the hop limit of its instance."""
    return "X_IMDS_HOP_LIMIT" if source == metadata.ADDRESS else "X_TTL_EXCEEDED"
