"""What the command line and the daemon say to each other: JSON, one message a line.

A connection is one request `{"verb": ..., "args": {...}}`, any number of `{"progress": "..."}`,
and one `{"result": ...}` or `{"error": ..., "exit_code": ...}`.
"""

import errno
import json
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any, NoReturn, TypeVar

from testbed import errors
from testbed.daemon.process.home import Home
from testbed.kernel.machine.processes import forks, parent, stopped

Json = Any  # what json.loads gives
T = TypeVar("T")

PIECE = 1 << 18  # bytes heard at once
LOOK_S = 3  # of silence, between two looks whether somebody is there to answer


def line(message: Json) -> bytes:
    """A message as it goes over the socket."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def failure(error: Exception) -> Json:
    """An error as a message."""
    known = errors.told(error)
    return {"error": str(known), "kind": type(known).__name__}


def raise_failure(message: Json) -> NoReturn:
    """Raise another process' error here, as the class it was there."""
    kind = getattr(errors, message["kind"], errors.TestbedError)
    error = errors.TestbedError.__new__(kind)
    error.args = (message["error"],)
    raise error


def answers(home: Home) -> bool:
    """Whether the lab has a daemon that listens; how soon it will answer is another matter."""
    with _socket() as connection:
        return connection.connect_ex(str(home.socket)) in (0, errno.EAGAIN)


def stopped_process(home: Home) -> int | None:
    """The daemon or the first process, whichever answers nobody because a signal has stopped it.

    As ^Z does, or `kill -STOP`.
    """
    with _socket() as connection, suppress(OSError):
        connection.connect(str(home.socket))
        return _stopped(connection)
    return None


def call(
    home: Home, verb: str, *, progress: Callable[[str], None] | None = None, **args: Json
) -> Json:
    """The daemon's answer to a request, however long it takes.

    Raises the TestbedError the daemon raised; NoDaemon when no daemon answers, or can.
    """
    with _socket() as connection:
        _connect(connection, home)
        for answer in _answers(connection, home, {"verb": verb, "args": args}):
            if "progress" in answer and progress:
                progress(answer["progress"])
            elif "error" in answer:
                raise_failure(answer)
            elif "result" in answer:
                return answer["result"]
    raise errors.NoDaemon(
        f"the daemon of lab '{home.lab}' ended before it answered{last_words(home)}"
    )


def last_words(home: Home) -> str:
    """The end of the daemon's log, to be added to a message; a killed one says nothing."""
    try:
        lines = home.log.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return f": {lines[-1]}" if lines else ""


def _socket() -> socket.socket:
    """A socket whose calls wait LOOK_S and then raise BlockingIOError: socket(7)."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    for timeout in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):
        made.setsockopt(socket.SOL_SOCKET, timeout, struct.pack("@ll", LOOK_S, 0))
    return made


def _connect(connection: socket.socket, home: Home) -> None:
    try:
        connection.connect(str(home.socket))
    except (FileNotFoundError, ConnectionRefusedError):
        raise errors.NoDaemon(
            f"the daemon of lab '{home.lab}' is not running (packets still flow): "
            "`testbed up FILE` starts a new one"
        ) from None
    except BlockingIOError:
        raise errors.NoDaemon(
            f"the daemon of lab '{home.lab}' lets too many wait already; is it stopped?"
        ) from None


def _answers(connection: socket.socket, home: Home, request: Json) -> Iterator[Json]:
    """What the daemon says, until it has said all or ends; then the last line may be a piece."""
    with suppress(ConnectionError):
        unsaid = line(request)
        while unsaid:
            unsaid = unsaid[_awaited(connection, home, partial(connection.send, unsaid)) :]
        heard = b""
        while piece := _awaited(connection, home, partial(connection.recv, PIECE)):
            *lines, heard = (heard + piece).split(b"\n")
            yield from map(json.loads, lines)


def _awaited(connection: socket.socket, home: Home, step: Callable[[], T]) -> T:
    """What a step returns when its time has come.  Raises NoDaemon when nobody is to bring it.

    A daemon may be at work for minutes.  One that is stopped would be waited for for good.
    """
    while True:
        with suppress(BlockingIOError):
            return step()
        if process := _stopped(connection):
            raise errors.NoDaemon(
                f"process {process} of lab '{home.lab}' is stopped, so nobody answers: "
                f"`kill -CONT {process}` lets it go on, `testbed down {home.lab}` ends the lab"
            )


def _stopped(connection: socket.socket) -> int | None:
    """Of the daemon at the other end, its worker, and the first process: one that is stopped."""
    size = struct.calcsize("3i")
    peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    daemon, _, _ = struct.unpack("3i", peer)
    with suppress(ProcessLookupError):
        return next(filter(stopped, (daemon, parent(daemon), *forks(daemon))), None)
    return None
