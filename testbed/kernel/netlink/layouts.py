"""Attributes of messages that look alike, taken apart by one `unpack`.  Pure.

Thousands of veths answer with attributes of equal types and lengths in equal order; only values
differ.  A layout remembers where they are, and that a message is laid out so is checked.
"""

import struct
from collections.abc import Mapping

from testbed.kernel.netlink.uapi import NLA_TYPE_MASK
from testbed.kernel.netlink.wire import ALIGNMENT, attributes

_HEAD = struct.Struct("=I")  # length and type as one number
_PARTS = struct.Struct("=HH")


class _Layout:
    """Where the attributes of one kind of message are."""

    def __init__(self, data: bytes, offset: int) -> None:
        fields, heads, kinds = ["="], [], []
        while offset + _HEAD.size <= len(data):
            length, kind = _PARTS.unpack_from(data, offset)
            padded = (length + ALIGNMENT - 1) & -ALIGNMENT
            padding = min(padded, len(data) - offset) - length
            fields.append(f"I{length - _HEAD.size}s{padding}x")
            heads.append(_HEAD.unpack_from(data, offset)[0])
            kinds.append(kind & NLA_TYPE_MASK)
            offset += padded
        self._struct = struct.Struct("".join(fields))
        self._heads = tuple(heads)
        self._kinds = tuple(kinds)

    def read(self, data: bytes, offset: int) -> Mapping[int, bytes] | None:
        """The attributes by type; none when this is another layout."""
        fields = self._struct.unpack_from(data, offset)
        if fields[::2] != self._heads:
            return None
        return dict(zip(self._kinds, fields[1::2], strict=True))


class Layouts:
    """The layouts met so far, by length (state: them)."""

    def __init__(self) -> None:
        self._known: dict[int, _Layout] = {}

    def attributes(self, data: bytes, offset: int = 0) -> Mapping[int, bytes]:
        """What `netlink.attributes` answers."""
        length = len(data) - offset
        known = self._known.get(length)
        found = known.read(data, offset) if known else None
        if found is None:
            if length:
                self._known[length] = _Layout(data, offset)
            return attributes(data, offset)
        return found
