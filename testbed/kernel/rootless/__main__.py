"""`python -m testbed.kernel.rootless PROGRAM …`: a program as root of namespaces of its own.

For an ordinary user's tests of labs, which need root: `bed`, pytest, `mn --custom`.  Its network
has nothing but a loopback, /run is its own.  Exits as the program does.
"""

import os
import signal
import sys
from typing import NoReturn

from testbed.errors import TestbedError
from testbed.kernel.machine import mounts
from testbed.kernel.machine.processes import end_with_parent
from testbed.kernel.namespaces.enter import CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, unshare
from testbed.kernel.rootless import obstacles, seccomp
from testbed.kernel.rootless.userns import become_root_where_needed


def run(argv: list[str]) -> int:
    """A program's exit code; 128 plus the number of the signal that ended it.

    Raises MissingFeature naming what is in the way.
    """
    with obstacles.explained():
        become_root_where_needed()
        unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID)
    first = os.fork()
    if first == 0:
        _be_first(argv)
    return _exit_code(first)


def _be_first(argv: list[str]) -> NoReturn:
    """As process 1: everything the program leaves behind is our child, and buried."""
    code = 1
    try:
        end_with_parent()
        with obstacles.explained():
            mounts.mount("", "/", flags=mounts.MS_REC | mounts.MS_SLAVE)
            mounts.system()
            mounts.own_sys()
        seccomp.pretend_to_change_user()
        program = os.fork()
        if program == 0:
            code = 127
            os.execvp(argv[0], argv)
        code = _exit_code(program)
    except OSError as failed:
        sys.stderr.write(f"error: {argv[0]}: {failed.strerror}\n")
    except TestbedError as failed:
        sys.stderr.write(f"error: {failed}\n")
    finally:
        sys.stderr.flush()
        os._exit(code)


def _exit_code(process: int) -> int:
    """How a child of ours ended; all others are buried meanwhile.  ^C is for the program."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        ended, status = os.wait()
        if ended == process:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def main() -> int:
    """Run the program of the command line; an error is one message and its exit code."""
    if len(sys.argv) < 2:
        sys.stderr.write("usage: python -m testbed.kernel.rootless PROGRAM [ARGUMENT]...\n")
        return 2
    try:
        return run(sys.argv[1:])
    except TestbedError as refused:
        sys.stderr.write(f"error: {refused}\n")
        return refused.exit_code


if __name__ == "__main__":
    sys.exit(main())
