"""What an instance metadata service says to whom, as a value."""

from dataclasses import dataclass
from ipaddress import IPv4Address

from testbed.net.facts import IpAddress

ADDRESS = IPv4Address("169.254.169.254")
PORT = 80
TOKEN_PATH = "/latest/api/token"
TOKEN_TTL = "x-aws-ec2-metadata-token-ttl-seconds"
TOKEN_REQUEST = f"PUT {TOKEN_PATH} HTTP/1.1\r\nHost: {ADDRESS}\r\n{TOKEN_TTL}: 60\r\n\r\n".encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceMetadata:
    """One instance's metadata.

    addresses: who asks with one of these is this instance.  paths: texts by their path below
    `/latest/`.  tokens_required: only version 2 is answered.  hop_limit: the TTL of the
    packets that bring a token.  enabled: false answers nothing but 403.
    """

    instance: str
    addresses: frozenset[IpAddress]
    paths: tuple[tuple[str, str], ...]
    tokens_required: bool = False
    hop_limit: int = 1
    enabled: bool = True
