"""What an instance metadata service says to whom, as a value."""

from dataclasses import dataclass

from testbed.net.facts import IpAddress


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceMetadata:
    """One instance's metadata.

    addresses: who asks with one of these is this instance.  paths: texts by their path below
    `/latest/meta-data/`.  tokens_required: only version 2 is answered.  hop_limit: the TTL of the
    packets that bring a token.  enabled: false answers nothing but 403.
    """

    instance: str
    addresses: frozenset[IpAddress]
    paths: tuple[tuple[str, str], ...]
    tokens_required: bool = False
    hop_limit: int = 1
    enabled: bool = True
