"""One accepted connection of a pod's server: a socket, its conversation, what is unsent."""

import select
import socket
import time
from _socket import socket as CSocket  # noqa: N812 - the C class: no Python around each call

from testbed.probes.servers.echo import Conversation
from testbed.probes.sockets import RESET_ON_CLOSE

READ = 65536  # bytes taken at once, so that nobody keeps the others waiting
AT_ONCE = socket.MSG_DONTWAIT  # saves the call that makes a socket non-blocking
OVER = 0
KERNELS_TTL = -1  # ip(7), IP_TTL: back to net.ipv4.ip_default_ttl


class Connection:
    """A connection that never waits; while the client does not read, no more is read from it.

    State: the bytes not sent yet, and when something last moved.
    """

    def __init__(self, netns: str, accepted: CSocket, conversation: Conversation) -> None:
        self.netns = netns
        self.socket = accepted
        self.events = 0  # the ones waited for
        self.active_s = time.monotonic()
        self._conversation = conversation
        self._unsent = conversation.greeting()
        self._said_all = False
        self._ttl = 0  # what the socket was told; 0 for the kernel's own

    def advance(self) -> int:
        """Send and receive what is possible now; the events to wait for, or OVER.

        Whatever the client or the network does to the connection only ends it.
        """
        self.active_s = time.monotonic()
        try:
            if not self._unsent and not self._receive():
                return OVER
            self._send()
        except BlockingIOError:
            pass
        except OSError:
            return OVER
        return select.EPOLLOUT if self._unsent else select.EPOLLIN

    def close(self, *, reset: bool = False) -> None:
        """Let it go.  reset: with nothing left behind that would keep its namespace alive."""
        if reset:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self.socket.close()

    def _receive(self) -> bool:
        """Take what has come; False at the client's end.

        Once all is said, the rest is thrown away until then: to close a socket with unread bytes
        is a reset, which may destroy the last answer (RFC 9112, 9.6).
        """
        received = self.socket.recv(READ, AT_ONCE)
        if not self._conversation.over:
            self._unsent = self._conversation.receive(received)
            self._set_ttl(self._conversation.ttl)
        return bool(received)

    def _set_ttl(self, ttl: int) -> None:
        if ttl != self._ttl:
            self._ttl = ttl
            self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl or KERNELS_TTL)

    def _send(self) -> None:
        if self._unsent:
            self._unsent = self._unsent[self.socket.send(self._unsent, AT_ONCE) :]
        if self._conversation.over and not self._unsent and not self._said_all:
            self._said_all = True
            self.socket.shutdown(socket.SHUT_WR)
