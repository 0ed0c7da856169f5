"""A second witness: what kernel functions did with the packet, from a tracefs instance of our own.

Only for root of the machine.  The file system is mounted where nobody sees it (fsmount), the
instance has a buffer and events of its own.  Only what the observing thread does is recorded: the
way through veths and bridges runs in the context of whoever sends.
"""

import ctypes
import errno
import fcntl
import os
import re
import secrets
import threading
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import IPv4Address

from testbed.explain.evidence.witnesses import KernelEvent

# asm-generic/unistd.h, the same on all architectures; glibc has no fsopen before 2.36
FSOPEN, FSCONFIG, FSMOUNT = 430, 431, 432
FSOPEN_CLOEXEC = FSMOUNT_CLOEXEC = 1
FSCONFIG_CREATE = 6

PREFIX = "testbed-"  # how the names of our instances begin
EVENTS = (
    "fib/fib_table_lookup",
    "net/net_dev_start_xmit",
    "net/netif_receive_skb",
    "skb/kfree_skb",
)
BUFFER_KB = 512  # of each CPU; an observation takes about 30
READ_BYTES = 1 << 16
IPV4 = "0x0800"

#  python-3783  [001] ..s1.  7546.797043: netif_receive_skb: dev=eth0 skbaddr=00000000e0b2624a …
_LINE = re.compile(r"-(?P<thread>\d+)\s+\[\d+\] .*?: (?P<event>\w+): (?P<text>.*)$", re.MULTILINE)
#  table 2 oif 0 iif 39 proto 0 10.0.1.4/0 -> 203.0.113.10/0 tos 0 … ==> dev … err 0
_LOOKUP = re.compile(r"table (\d+) .* ([\d.]+)/\d+ -> ([\d.]+)/\d+ .* err (-?\d+)")
_DEVICE = re.compile(r"dev=(\S+) .*?skbaddr=(\S+)(?:.* protocol=(\S+))?")
#  skbaddr=… rx_sk=0… protocol=2048 location=nft_do_chain+0x4d4/0x690 reason: NETFILTER_DROP
_FREED = re.compile(r"skbaddr=(\S+) .*?location=([^+\s]+)\S*(?: reason: (\S+))?")
_MARKER = "tracing_mark_write"
NOT_FOUND = -11  # EAGAIN: on to the next rule


class Tracefs:
    """Our instance, by name (state: its directory, and the thread it records).

    One that a killed process left is swept away by the next: the kernel does not remove an
    instance that anybody has open.
    """

    def __init__(self) -> None:
        """Raises OSError: not allowed, or not there."""
        self._root = _mounted()
        self.name = f"{PREFIX}{secrets.token_hex(4)}"
        self._instance = f"instances/{self.name}"
        self._pipe = -1
        self._thread = 0
        try:
            self._make()
            self._write("buffer_size_kb", str(BUFFER_KB))
            self._choose_thread()
        except OSError:
            self.close()
            raise

    def start(self) -> None:
        """Record what the calling thread does, from now on."""
        if threading.get_native_id() != self._thread:
            self._choose_thread()
        self._write("tracing_on", "1")

    def stop(self) -> tuple[KernelEvent, ...]:
        """What was recorded since the start."""
        self._write("tracing_on", "0")
        return tuple(events(self._read()))

    def others(self) -> list[str]:
        """Our other instances on this machine, in use or left behind."""
        directory = self._opened("instances", os.O_RDONLY | os.O_DIRECTORY)
        try:
            with os.scandir(directory) as entries:
                names = [entry.name for entry in entries if entry.name.startswith(PREFIX)]
        finally:
            os.close(directory)
        return [name for name in names if name != self.name]

    def close(self) -> None:
        """The instance gone; that takes the kernel 60 to 140 ms."""
        with suppress(OSError):
            self._write("tracing_on", "0")
        if self._pipe >= 0:
            os.close(self._pipe)
        with suppress(OSError):
            os.rmdir(self._instance, dir_fd=self._root)
        os.close(self._root)

    def _make(self) -> None:
        """Sweep, then make the instance and open its pipe: from then on it is in use.

        A lock on their directory keeps others from sweeping in between (ENODEV, ENOENT).
        """
        directory = self._opened("instances", os.O_RDONLY | os.O_DIRECTORY)
        try:
            with suppress(BlockingIOError):  # somebody makes one: the next sweep will do
                fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._sweep()
            fcntl.flock(directory, fcntl.LOCK_SH)
            os.mkdir(self._instance, dir_fd=self._root)
            self._pipe = self._opened(f"{self._instance}/trace_pipe", os.O_RDONLY | os.O_NONBLOCK)
        finally:
            os.close(directory)

    def _sweep(self) -> None:
        """Remove instances of ours that nobody has open any more."""
        for name in self.others():
            with suppress(OSError):  # in use
                os.rmdir(f"instances/{name}", dir_fd=self._root)

    def _choose_thread(self) -> None:
        """Have the calling thread recorded and no other.  1 ms; 80 ms when it was another one.

        The file wants the thread's number on the machine, and we may be in a pid namespace: a
        marker's line says who wrote it.  No event comes meanwhile: others' would never end.
        """
        self._enable("0")
        self._write("tracing_on", "1")
        self._write("trace_marker", "who")
        self._write("tracing_on", "0")
        lines = [line for line in _LINE.finditer(self._read()) if line["event"] == _MARKER]
        if not lines:
            raise OSError(errno.ENODATA, "no marker in a trace")
        self._write("set_event_pid", lines[-1]["thread"])
        self._thread = threading.get_native_id()
        self._enable("1")

    def _enable(self, value: str) -> None:
        for event in EVENTS:
            self._write(f"events/{event}/enable", value)

    def _read(self) -> str:
        data = b""
        with suppress(BlockingIOError):
            while piece := os.read(self._pipe, READ_BYTES):
                data += piece
        return data.decode(errors="replace")

    def _opened(self, path: str, flags: int) -> int:
        return os.open(path, flags | os.O_CLOEXEC, dir_fd=self._root)

    def _write(self, name: str, value: str) -> None:
        file = self._opened(f"{self._instance}/{name}", os.O_WRONLY)
        try:
            os.write(file, value.encode())
        finally:
            os.close(file)


def events(text: str) -> Iterator[KernelEvent]:
    """What the lines of a trace say; lines of another shape are left out."""
    for line in _LINE.finditer(text):
        match line["event"]:
            case "net_dev_start_xmit" | "netif_receive_skb":
                yield from _at_device(line["event"], line["text"])
            case "fib_table_lookup":
                yield from _looked_up(line["text"])
            case "kfree_skb":
                yield from _freed(line["text"])


def _at_device(event: str, text: str) -> Iterator[KernelEvent]:
    found = _DEVICE.match(text)
    if found and (found[3] or IPV4) == IPV4:
        yield KernelEvent(
            kind="sent" if event == "net_dev_start_xmit" else "received",
            dev=found[1],
            packet=found[2],
        )


def _looked_up(text: str) -> Iterator[KernelEvent]:
    found = _LOOKUP.match(text)
    if found:
        yield KernelEvent(
            kind="lookup",
            table=int(found[1]),
            source=IPv4Address(found[2]),
            destination=IPv4Address(found[3]),
            hit=int(found[4]) != NOT_FOUND,
        )


def _freed(text: str) -> Iterator[KernelEvent]:
    found = _FREED.match(text)
    if found:
        yield KernelEvent(kind="freed", packet=found[1], function=found[2], reason=found[3] or "")


def _mounted() -> int:
    """tracefs, mounted nowhere: a directory's descriptor.  Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    context = _checked(libc.syscall(FSOPEN, b"tracefs", FSOPEN_CLOEXEC))
    try:
        _checked(libc.syscall(FSCONFIG, context, FSCONFIG_CREATE, None, None, 0))
        mount = _checked(libc.syscall(FSMOUNT, context, FSMOUNT_CLOEXEC, 0))
    finally:
        os.close(context)
    try:
        return os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=mount)
    finally:
        os.close(mount)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "tracefs")
    return result
