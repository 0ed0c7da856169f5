"""Unix sockets that programs listen at, each in the directory of its program."""

import os
import socket
from pathlib import Path


def connected(path: Path, timeout_s: float) -> socket.socket:
    """A connection to who listens there.  timeout_s: of it and of all that it is asked.

    The path may be longer than the 107 bytes of a socket's name (unix(7)).  Raises OSError:
    ConnectionRefusedError where a program has made the socket and does not listen yet.
    """
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        client.settimeout(timeout_s)
        directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
        try:
            client.connect(f"/proc/self/fd/{directory}/{path.name}")
        finally:
            os.close(directory)
    except OSError:
        client.close()
        raise
    return client


def listens(path: Path, timeout_s: float) -> bool:
    """Whether somebody does.  timeout_s: for an answer."""
    try:
        connected(path, timeout_s).close()
    except OSError:
        return False
    return True
