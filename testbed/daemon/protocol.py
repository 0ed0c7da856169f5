"""What the command line and the daemon say to each other: JSON, one message a line.

A connection is one request `{"verb": ..., "args": {...}}`, any number of `{"progress": "..."}`,
and one `{"result": ...}` or `{"error": ..., "exit_code": ...}`.
"""

import json
import socket
from collections.abc import Callable
from typing import Any

from testbed import errors
from testbed.daemon.home import Home

Json = Any  # what json.loads gives


def line(message: Json) -> bytes:
    """A message as it goes over the socket."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def failure(error: errors.TestbedError) -> Json:
    """An error as a message."""
    return {"error": str(error), "kind": type(error).__name__}


def _raise(message: Json) -> None:
    """Raise the daemon's error here, as the class it was there."""
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
                "`testbed up` starts a new one"
            ) from None
        connection.sendall(line({"verb": verb, "args": args}))
        with connection.makefile("rb") as answers:
            for answer in map(json.loads, answers):
                if "progress" in answer and progress:
                    progress(answer["progress"])
                elif "error" in answer:
                    _raise(answer)
                elif "result" in answer:
                    return answer["result"]
    raise errors.KernelError(
        f"the daemon of lab '{home.lab}' ended before it answered; see {home.log}"
    )
