"""Which ports are served in a namespace, by whoever serves them: what its kernel lists.

Needs CAP_SYS_ADMIN over the namespaces (setns).
"""

import socket
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address
from pathlib import Path
from typing import NamedTuple

from testbed.kernel.namespaces.store import NamespaceStore
from testbed.net.served.endpoints import EVERY_ADDRESS, Listener, Served
from testbed.probes.sockets import inside

LISTEN, UNCONNECTED = "0A", "07"  # net/tcp_states.h: TCP_LISTEN; TCP_CLOSE, of a bound UDP socket


class _Table(NamedTuple):
    """One of the kernel's lists of sockets."""

    name: str
    protocol: Served
    state: str


TABLES = (
    _Table("tcp", "tcp", LISTEN),
    _Table("tcp6", "tcp", LISTEN),
    _Table("udp", "udp", UNCONNECTED),
    _Table("udp6", "udp", UNCONNECTED),
)


def listening(store: NamespaceStore, names: Iterable[str]) -> tuple[Listener, ...]:
    """Every port that takes IPv4 in these namespaces.  Raises KernelError: no such namespace."""
    return tuple(listener for name in sorted(names) for listener in _of(store, name))


def _of(store: NamespaceStore, name: str) -> list[Listener]:
    with inside(store, name):
        # the directory of this thread, which is in the namespace; /proc/self/net is the process's
        texts = [(table, _read(table)) for table in TABLES]
    return [
        Listener(netns=name, port=port, protocol=table.protocol, pod="", node="", address=address)
        for table, text in texts
        for address, port in _bound(table, text)
    ]


def _read(table: _Table) -> str:
    file = Path("/proc/thread-self/net") / table.name
    return file.read_text(encoding="ascii") if file.exists() else ""  # no IPv6: no table


def _bound(table: _Table, text: str) -> Iterator[tuple[IPv4Address, int]]:
    """Address and port of each socket that waits for anybody.

    sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout …
     0: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 …
    """
    for line in text.splitlines()[1:]:
        _, local, remote, state, *_ = line.split()
        if state == table.state and remote.endswith(":0000"):
            digits, port = local.split(":")
            if (address := _address(digits)) is not None:
                yield address, int(port, 16)


def _address(digits: str) -> IPv4Address | None:
    """Words of the machine's own byte order; None for one that takes IPv6 only.

    `::` takes IPv4 too unless its program said otherwise, which this list does not tell.
    """
    words = [socket.ntohl(int(digits[i : i + 8], 16)) for i in range(0, len(digits), 8)]
    if len(words) == 1:
        return IPv4Address(words[0])
    if not any(words):
        return EVERY_ADDRESS
    return IPv4Address(words[3]) if words[:3] == [0, 0, 0xFFFF] else None
