"""Programs inside a lab, started by the command line itself: no daemon stands between terminal and
program, so ^C, ^Z, job control and window size are the terminal's own.

Only who has made a lab may enter it, and root.
"""

import fnmatch
import json
import os
import select
import shutil
import signal
from pathlib import Path

from testbed.daemon.process.home import INSIDE, Home
from testbed.daemon.process.tree import enter, fork_inside
from testbed.daemon.unknown import no_place
from testbed.errors import KernelError, UsageError
from testbed.kernel.machine import mounts
from testbed.kernel.machine.mounts import NAMES
from testbed.kernel.machine.processes import end_with_parent
from testbed.kernel.namespaces.enter import CLONE_NEWNET, setns
from testbed.kernel.programs.run import path as search_path


def enter_lab(home: Home) -> None:
    """Move this process into the lab: its mounts and network, and its pid namespace for children.

    From then on `/run/netns` is the lab's.  What this process mounts stays its own.
    """
    if Home.inside() == home:
        return
    holder = home.holder()
    if holder is None:
        raise KernelError(f"lab '{home.lab}' is gone")
    directory = Path.cwd()
    enter(holder)
    mounts.own()
    os.chdir(directory)
    os.environ[INSIDE] = str(home.path)
    os.environ["PATH"] = search_path()  # an ordinary user may be root in there, and needs sbin


def matching(home: Home, patterns: tuple[str, ...]) -> list[str]:
    """The lab's namespaces that these names or globs mean, in order; call it inside the lab.

    Raises UsageError for one that means nothing, with the reason of a pod that is Pending.
    """
    names = sorted(entry.name for entry in os.scandir(NAMES))
    chosen: list[str] = []
    for pattern in patterns:
        found = [name for name in names if fnmatch.fnmatchcase(name, pattern)]
        found = found or [_node_of(home, pattern, names)]
        chosen += [name for name in found if name not in chosen]
    return chosen


def _node_of(home: Home, pod: str, names: list[str]) -> str:
    """The node of a hostNetwork pod: such a pod has no namespace of its own."""
    with home.reading_applied() as text:
        allocations = json.loads(json.loads(text)["allocations"])
        for placed in allocations["pods"]:
            if placed["pod"] == pod and placed["host_network"]:
                return str(placed["node"])
        pending = {waiting["pod"]: waiting["reason"] for waiting in allocations["pending"]}
        pods = [placed["pod"] for placed in allocations["pods"]]
    if pod in pending:
        raise UsageError(f"pod '{pod}' is Pending: {pending[pod]}")
    raise UsageError(no_place(pod, {*names, *pods}))


def run(argv: list[str], netns: str = "", env: dict[str, str] | None = None) -> int:
    """Run a program in a namespace of the lab this process has entered; its exit code.

    Without a namespace it runs in the lab's own network, which has nothing but a loopback.
    A program that a signal ended gives 128 plus the signal's number, as in a shell.
    """
    ended, open_until_we_end = os.pipe()
    child = fork_inside()
    if child == 0:
        os.close(open_until_we_end)
        end_with_parent()
        _become(argv, netns, {**os.environ, **(env or {})}, ended)
    os.close(ended)
    interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal tells the child itself
    try:
        status = os.waitpid(child, 0)[1]
    finally:
        signal.signal(signal.SIGINT, interrupt)
        os.close(open_until_we_end)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def enter_place(netns: str) -> None:
    """Move this process, which is in the lab, into a namespace with its own /sys and resolv.conf.

    Without a name it stays in the lab's own network.
    """
    mounts.own()
    if netns:
        file = os.open(f"{NAMES}/{netns}", os.O_RDONLY | os.O_CLOEXEC)
        setns(file, CLONE_NEWNET)
        os.close(file)
        if home := Home.inside():
            mounts.cover(home.shown(netns))
    mounts.own_sys()


def _found(program: str, env: dict[str, str]) -> str:
    """The file of a program, as a shell finds it.  Raises FileNotFoundError.

    Not execvpe: a directory of PATH that may not be read would be its complaint.
    """
    found = program if "/" in program else shutil.which(program, path=env.get("PATH"))
    if found is None:
        raise FileNotFoundError(program)
    return found


def _become(argv: list[str], netns: str, env: dict[str, str], ended: int) -> None:
    """In the child: enter the namespace and exec; 127 when there is no program.

    ended: readable when the parent has ended before it could take us with it.
    """
    code = 126
    try:
        enter_place(netns)
        if select.select([ended], [], [], 0)[0]:
            os._exit(code)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it; programs expect it
        os.execve(_found(argv[0], env), argv, env)
    except FileNotFoundError:
        os.write(2, f"testbed: {argv[0]}: command not found\n".encode())
        code = 127
    except OSError as error:
        os.write(2, f"testbed: {netns or 'lab'}: {error}\n".encode())
    finally:
        os._exit(code)
