"""The first process of a lab: it holds the namespaces' descriptors and gives them names.

Runs as `python -I -S holder.py DIRECTORY LIFELINE`, with nothing but the standard library, as
process 1 of the lab's own pid namespace: when it ends, the kernel takes the whole lab away.

A name is a symlink `/run/netns/NAME -> /proc/1/fd/N`.  Messages on `DIRECTORY/holder.sock`
(SOCK_SEQPACKET) are one line of JSON and, for `keep`, the descriptors in the order of the names:
    {"keep": [NAME, ...]}    {"drop": [NAME, ...]}
Each is answered with `ok`, or with what was in the way.  LIFELINE is a socket to the `up` that
started us: until it has said `commit`, its end is our end, so that a killed `up` leaves nothing.
`commit` is answered with `ok` when `owner.json` is gone: by it others know whose end is ours.
"""

import array
import errno
import json
import os
import resource
import selectors
import signal
import socket
import struct
import sys
import time
from contextlib import suppress

NAMES = "/run/netns"
OWNER = "owner.json"
LOOK_S = 5.0  # between two looks whether the lab's directory is still there
REFUSED_S = 0.1  # between two attempts to let somebody in
CLIENTS = 8  # descriptors: a daemon and its worker, and who looks whether we are there
MESSAGE = 65536  # bytes; a `keep` of 200 long names fits well


class Holder:
    """The descriptors by name; the only state is what the kernel must keep open."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.held: dict[str, int] = {}
        self.selector = selectors.DefaultSelector()
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        os.umask(0o177)  # for our own user alone; we make no other file
        self.listener.bind(f"{directory}/holder.sock")
        self.listener.listen(8)
        self.selector.register(self.listener, selectors.EVENT_READ, self.accept)

    def accept(self, listener: socket.socket) -> None:
        """A daemon has come; anybody else is sent away.

        The last descriptors are for that, so a lab that has taken all others can still be asked.
        """
        limit_descriptors(reserved=0)
        try:
            client, _ = listener.accept()
        except OSError:  # more of them than that: our end would be the end of the lab
            time.sleep(REFUSED_S)
            return
        finally:
            limit_descriptors(reserved=CLIENTS)
        _, user, _ = struct.unpack(
            "3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        )
        if user != os.geteuid():
            client.close()
            return
        self.selector.register(client, selectors.EVENT_READ, self.serve)

    def serve(self, client: socket.socket) -> None:
        """Answer one message.

        A client that goes away or talks nonsense is left: our end would be the end of the lab.
        """
        try:
            alive = self.answer(client)
        except (OSError, ValueError, TypeError, AttributeError):
            alive = False
        if not alive:
            self.selector.unregister(client)
            client.close()

    def answer(self, client: socket.socket) -> bool:
        """Do what one message says; False at the end of the conversation."""
        data, ancillary, flags, _ = client.recvmsg(MESSAGE, socket.CMSG_SPACE(253 * 4))
        if not data:
            return False
        descriptors = array.array("i")
        for level, kind, payload in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                descriptors.frombytes(payload[: len(payload) - len(payload) % 4])
        try:
            if flags & socket.MSG_CTRUNC:  # we have as many as our limit allows; unix(7)
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            self.obey(json.loads(data), descriptors)
            said = b"ok"
        except OSError as refused:
            said = str(refused).encode()
        finally:
            for descriptor in set(descriptors) - set(self.held.values()):
                os.close(descriptor)
        client.send(said, socket.MSG_NOSIGNAL)
        return True

    def obey(self, message: dict[str, list[str]], descriptors: "array.array[int]") -> None:
        """Keep and drop what a message names."""
        for name, descriptor in zip(message.get("keep", ()), descriptors, strict=True):
            self.keep(name, descriptor)
        for name in message.get("drop", ()):
            self.drop(name)

    def keep(self, name: str, descriptor: int) -> None:
        """Hold a namespace under a name, instead of the one that had it.

        Raises OSError: the name is the file of somebody in the lab, who used `ip netns add`.
        """
        self.drop(name)
        os.symlink(f"/proc/1/fd/{descriptor}", f"{NAMES}/{name}")  # noqa: PTH211 - as small as it gets
        self.held[name] = descriptor

    def drop(self, name: str) -> None:
        """Let a namespace go; the kernel removes it when nothing else is in it."""
        if name in self.held:
            with suppress(FileNotFoundError):  # somebody in the lab used `ip netns del`
                os.unlink(f"{NAMES}/{name}")  # noqa: PTH108
            os.close(self.held.pop(name))

    def lifeline(self, starter: socket.socket) -> None:
        """`commit`: the lab stays without its starter.  End of file before that: we go too."""
        if starter.recv(16) != b"commit":
            sys.exit(1)
        self.selector.unregister(starter)
        os.unlink(f"{self.directory}/{OWNER}")  # noqa: PTH108
        starter.send(b"ok", socket.MSG_NOSIGNAL)
        starter.close()

    def run(self) -> None:
        """Serve for as long as the lab can be reached; without its files nobody could end it.

        A login manager removes an ordinary user's with the last session.
        """
        while os.access(self.directory, os.F_OK):
            for key, _ in self.selector.select(LOOK_S):
                key.data(key.fileobj)


def reap(*_: object) -> None:
    """Bury the lab's orphans: they are process 1's children."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def limit_descriptors(*, reserved: int) -> None:
    """Have as many as we may, but for these."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(0, hard - reserved), hard))


def main(directory: str, lifeline: str) -> None:
    """Hold the lab until the end."""
    for ignored in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGPIPE):
        signal.signal(ignored, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, reap)
    limit_descriptors(reserved=0)
    starter = socket.socket(fileno=int(lifeline))
    try:
        holder = Holder(directory)
    except OSError as refused:
        said = refused.errno, refused.strerror, f"{directory}/holder.sock"
        starter.send(json.dumps({"refused": said}).encode())
        sys.exit(1)
    holder.selector.register(starter, selectors.EVENT_READ, holder.lifeline)
    starter.send(b"ready")
    limit_descriptors(reserved=CLIENTS)
    holder.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
