"""What the command line and the daemon say to each other: JSON, one message a line.

A connection is one request `{"verb": ..., "args": {...}}`, any number of `{"progress": "..."}`,
and one `{"result": ...}` or `{"error": ..., "exit_code": ...}`.
"""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, NoReturn

from testbed import errors
from testbed.daemon.process.home import Home

Json = Any  # what json.loads gives


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
    """Whether the lab has a daemon that listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        return connection.connect_ex(str(home.socket)) == 0


def call(
    home: Home, verb: str, *, progress: Callable[[str], None] | None = None, **args: Json
) -> Json:
    """The daemon's answer to a request.

    Raises the TestbedError the daemon raised; KernelError when no daemon answers.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.connect(str(home.socket))
        except (FileNotFoundError, ConnectionRefusedError):
            raise errors.KernelError(
                f"the daemon of lab '{home.lab}' is not running (packets still flow): "
                "`testbed up FILE` starts a new one"
            ) from None
        for answer in _answers(connection, {"verb": verb, "args": args}):
            if "progress" in answer and progress:
                progress(answer["progress"])
            elif "error" in answer:
                raise_failure(answer)
            elif "result" in answer:
                return answer["result"]
    raise errors.KernelError(
        f"the daemon of lab '{home.lab}' ended before it answered{last_words(home)}"
    )


def last_words(home: Home) -> str:
    """The end of the daemon's log, to be added to a message; a killed one says nothing."""
    try:
        lines = home.log.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return f": {lines[-1]}" if lines else ""


def _answers(connection: socket.socket, request: Json) -> Iterator[Json]:
    """What the daemon says, until it has said all or ends; then the last line may be a piece."""
    with suppress(ConnectionError):
        connection.sendall(line(request))
        with connection.makefile("rb") as answers:
            for answer in answers:
                if answer.endswith(b"\n"):
                    yield json.loads(answer)
