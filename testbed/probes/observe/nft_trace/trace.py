"""nft trace of one namespace: armed for a probe, heard, disarmed.  Needs CAP_NET_ADMIN.

The tables that arm it belong to a socket (`flags owner`, Linux 5.12): the kernel deletes them when
that is closed, however this process ends.
"""

import errno
import socket
import struct

from testbed.errors import KernelError, MissingFeature
from testbed.kernel.netlink import uapi
from testbed.kernel.netlink.socket import RECEIVE_SIZE, NetlinkSocket
from testbed.kernel.netlink.wire import (
    FLAGS_OFFSET,
    SEQUENCE_OFFSET,
    Refusal,
    attribute,
    attribute_text,
    attributes,
    messages,
    refusal,
)
from testbed.probes.observe.nft_trace import nft
from testbed.probes.observe.sent.patterns import Patterns

NETLINK_ADD_MEMBERSHIP = 1  # linux/netlink.h
NFNLGRP_NFTRACE = 9  # linux/netfilter/nfnetlink.h
BUFFER_BYTES = 1 << 21  # some thousand trace messages
ANSWER_S = 5.0  # a transaction waits for others' ones in its namespace
UNKNOWN_FLAG = (errno.EOPNOTSUPP, errno.EINVAL)  # what kernels without owners answer

_FLAGS = struct.Struct("=H")
_SEQUENCE = struct.Struct("=I")
_NO_LINK = struct.pack("=BxHiII", 0, 0, 0, 0, 0)  # ifinfomsg
_BRIDGES = _NO_LINK + attribute(
    uapi.IFLA_LINKINFO | nft.NESTED, attribute_text(uapi.IFLA_INFO_KIND, "bridge")
)


class Tracer:
    """nft trace of the namespace in which the calling thread makes it.

    State: two sockets, the tables that are there, and what was heard.
    """

    def __init__(self, ns: str) -> None:
        self.ns = ns
        self.heard: list[bytes] = []  # bodies of trace messages
        self.transactions = 0  # ours, each of which makes a new generation of the rule set
        self._name = ""
        self._families: tuple[int, ...] = ()
        self._control = _socket()
        self._listening = _socket()
        self._control.settimeout(ANSWER_S)
        self._listening.setblocking(False)
        self._listening.bind((0, 0))  # the kernel sends nothing to a socket without a number

    def fileno(self) -> int:
        """For poll."""
        return self._listening.fileno()

    def arm(self, name: str, patterns: Patterns) -> None:
        """Trace what has the patterns, from now on; in the tracer's own namespace.

        Raises KernelError, MissingFeature.
        """
        self._listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        self._listening.setsockopt(uapi.SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, NFNLGRP_NFTRACE)
        families = (nft.NFPROTO_IPV4, *([nft.NFPROTO_BRIDGE] if _has_bridge() else []))
        refused = self._transaction([*nft.tables(name, families, patterns)])
        if refused and refused.errno in UNKNOWN_FLAG:
            raise MissingFeature(f"{self.ns}: no nft tables with an owner (Linux 5.12): {refused}")
        if refused:
            raise KernelError(f"{self.ns}: nft trace: {refused}")
        self._name, self._families = name, families

    def look_for(self, patterns: Patterns) -> None:
        """Trace what has these patterns too.  Raises KernelError."""
        requests = [
            rule for family in self._families for rule in nft.rules(self._name, family, patterns)
        ]
        refused = self._transaction(requests)
        if refused:
            raise KernelError(f"{self.ns}: nft trace: {refused}")

    def disarm(self) -> None:
        """Our tables gone; closing does it too, so that a refusal does not matter."""
        if self._families:
            self._transaction([*nft.deletion(self._name, self._families)])
            self._families = ()

    def close(self) -> None:
        """Our tables gone in any case."""
        self._control.close()
        self._listening.close()

    def hear(self) -> bool:
        """Take what has come; whether anything had."""
        before = len(self.heard)
        while True:
            try:
                data = self._listening.recv(RECEIVE_SIZE)
            except BlockingIOError:
                return len(self.heard) > before
            self.heard += [one.body for one in messages(data) if one.kind == nft.TRACE]

    def generation(self) -> int:
        """The number of the rule set: another one after every transaction of anybody."""
        self._control.send(nft.message(nft.GETGEN, 0, 0))
        answer = next(messages(self._control.recv(RECEIVE_SIZE)))
        return int.from_bytes(attributes(answer.body, nft.NFGENMSG_BYTES)[nft.GEN_ID], "big")

    def _transaction(self, requests: list[bytes]) -> Refusal | None:
        """What was refused first; the last request is the one that asks for an answer.

        (Only newer kernels answer the end of a transaction.)
        """
        buffer = bytearray(nft.begin())
        offset = 0
        for request in requests:
            offset = len(buffer)
            buffer += request
        _SEQUENCE.pack_into(buffer, offset + SEQUENCE_OFFSET, 1)
        flags: int = _FLAGS.unpack_from(buffer, offset + FLAGS_OFFSET)[0]
        _FLAGS.pack_into(buffer, offset + FLAGS_OFFSET, flags | uapi.NLM_F_ACK)
        self._control.send(buffer + nft.end())
        refused: Refusal | None = None
        while True:
            for answer in map(refusal, messages(self._control.recv(RECEIVE_SIZE))):
                refused = refused or (answer if answer.errno else None)
                if answer.sequence == 1:
                    self.transactions += refused is None
                    return refused


def _socket() -> socket.socket:
    kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
    opened = socket.socket(socket.AF_NETLINK, kind, uapi.NETLINK_NETFILTER)
    opened.setsockopt(uapi.SOL_NETLINK, uapi.NETLINK_CAP_ACK, 1)
    opened.setsockopt(uapi.SOL_NETLINK, uapi.NETLINK_EXT_ACK, 1)
    return opened


def _has_bridge() -> bool:
    """Whether there is a bridge in the namespace of the calling thread."""
    with NetlinkSocket() as kernel:
        return bool(kernel.dump(uapi.RTM_GETLINK, _BRIDGES))
