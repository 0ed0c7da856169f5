"""The daemon's process: it listens, and keeps what outlives a question.

It is small and does nothing by itself.  When somebody comes it forks a worker, which has the lab
at hand, answers, and ends when nobody has come for a while.  The memory that a large lab's facts
take goes with it; the next one has them from the record of what was applied last.
"""

import fcntl
import logging
import os
import select
import signal
import socket
from collections.abc import Callable
from contextlib import suppress

from testbed.daemon.process import worker
from testbed.daemon.process.home import Home
from testbed.daemon.process.keeper import Keeper, Kept
from testbed.daemon.process.protocol import failure, line
from testbed.kernel.machine.garbage import collect_rarely
from testbed.kernel.machine.limits import raise_descriptor_limit
from testbed.kernel.machine.processes import Process, fork, record, recorded
from testbed.lab import Lab

RECORD = "daemon.json"  # in a lab's directory: which process is its daemon
STDERR = 2  # a daemon's is its log
WAITING = 100  # clients that nobody has accepted yet

log = logging.getLogger(__name__)


def main(home: Home, ready: Callable[[], None], lab: Lab | None) -> None:
    """Be the daemon of this lab until it ends; call `ready` when it listens.

    lab: what it is started for, if that is new.
    """
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    raise_descriptor_limit()
    _succeed(home)
    collect_rarely()
    listener = _listen(home)
    keeper = Keeper(home, lab)
    ready()
    while True:
        select.select([listener], [], [])
        try:
            _let_work(home, listener, keeper)
        except OSError as refused:  # of fork: no process or memory is left
            _send_away(listener, refused)


def _succeed(home: Home) -> None:
    """Be the only daemon, and wait until nothing of an earlier one is at work any more.

    One that nobody can reach, because its socket was removed, is ended: two of them would both
    follow load balancers and write kube-proxy's rules, for good.  What one that was killed had
    forked ends a moment later than it, and may drop namespaces till then.
    """
    earlier = recorded(home.path / RECORD)
    if earlier and not earlier.foreign():
        with suppress(ProcessLookupError), earlier.held() as handle:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            select.select([handle], [], [])
    # flock(2): our log, the lab's, is ours until we and all that we fork have ended
    fcntl.flock(STDERR, fcntl.LOCK_EX)
    home.write(RECORD, record(Process.of(os.getpid())))


def _listen(home: Home) -> socket.socket:
    """Our socket, for our own user alone, instead of a dead daemon's."""
    home.socket.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        listener.bind(str(home.socket))
    finally:
        os.umask(mask)
    listener.setblocking(False)
    listener.listen(WAITING)
    return listener


def _let_work(home: Home, listener: socket.socket, keeper: Keeper) -> None:
    """Let a worker answer who has come and who comes, and do what it asks for, until it ends.

    Whoever waits when one was ended by force is sent away: it may be what they ask for.
    """
    ours, theirs = socket.socketpair()
    lent = keeper.lent()
    with ours:
        try:
            child = fork()
            if child == 0:
                ours.close()
                kept = Kept(theirs, lent, home.programs, new=keeper.new, lab=keeper.lab)
                worker.work(home, listener, kept)
        finally:
            theirs.close()
            for one in lent:
                one.leave()
        with suppress(EOFError, OSError):
            while True:
                keeper.obey(ours)
    _, status = os.waitpid(child, 0)
    if status:
        code = os.waitstatus_to_exitcode(status)
        log.error("a worker ended with %d", code)
        _send_away(listener, OSError(code, os.strerror(code)) if code > 1 else None)


def _send_away(listener: socket.socket, refused: OSError | None) -> None:
    """Tell those who wait what is in the way; without a word they know that we could not."""
    with suppress(BlockingIOError):
        while True:
            waiting, _ = listener.accept()
            with waiting, suppress(OSError):
                if refused:
                    waiting.sendall(line(failure(refused)))
