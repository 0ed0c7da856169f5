"""TCP probes: a connection is made and reset; what the kernel says of it is the outcome."""

import errno
import socket
from _socket import socket as CSocket  # noqa: N812 - the C class: no Python around each call
from collections.abc import Sequence

from testbed.kernel.namespaces.store import NamespaceStore
from testbed.net.facts import IpAddress
from testbed.probes import exchange
from testbed.probes.outcome import DELIVERED, Outcome, Outcomes, Row, Target, failed
from testbed.probes.sockets import RESET_ON_CLOSE

STREAM = socket.SOCK_STREAM | socket.SOCK_NONBLOCK
PENDING = (errno.EINPROGRESS, errno.EALREADY)


class Connect:
    """A connection until it stands or has failed."""

    __slots__ = ("_address", "events", "socket")

    def __init__(self, target: Target) -> None:
        self.events = exchange.CONNECTING
        self.socket = CSocket(target.family, STREAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self._address = target.address

    def advance(self) -> Outcome | None:
        """Connect, or ask how the connection stands.

        Between namespaces of one kernel the whole handshake happens inside the first call; the
        second one tells its result, so that hardly a connection has to be waited for.
        """
        error = self.socket.connect_ex(self._address)
        if error == errno.EINPROGRESS:
            error = self.socket.connect_ex(self._address)
        if error == 0:
            return DELIVERED
        if error in PENDING:
            # an ICMP error that came during the call is only noted: the kernel would try again
            error = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        return failed(error) if error else None


def sweep(store: NamespaceStore, rows: Sequence[Row], *, timeout_s: float = 1.0) -> Outcomes:
    """The outcome of a connection to every target of every row."""
    return exchange.run(store, rows, Connect, timeout_s=timeout_s)


def probe(
    store: NamespaceStore, source: str, address: IpAddress, port: int, *, timeout_s: float = 1.0
) -> Outcome:
    """The outcome of a connection from a namespace to a port."""
    row = Row(source, [Target.of(address, port)])
    return sweep(store, [row], timeout_s=timeout_s)[0][0]
