"""A lab's beginning and end: what `up` and `down` do, for the command line and for scripts."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

from testbed.daemon.process import ending, publish, tree
from testbed.daemon.process.home import Home, homes, locks
from testbed.daemon.process.protocol import Json, answers, call
from testbed.errors import NoDaemon, UsageError

if TYPE_CHECKING:
    from testbed.lab import Lab  # heavy, and `down` needs to know of none

Progress = Callable[[str], None]


def up(lab: "Lab", progress: Progress | None = None, *, published: bool | None = None) -> Json:
    """Bring `lab` up, or change the running lab of that name into it; the daemon's report.

    published: whether the host gets names for its namespaces; None leaves that as it is.
    A failure or an interrupt while a lab is new leaves nothing of it; a running lab is put back.
    """
    home = Home(lab.name)
    with home.locked():
        if published:
            publish.check(home)
        _load_modules(lab, progress)
        if home.holder() is None:
            return _start(home, lab, progress, published=bool(published))
        if not answers(home):
            _start_daemon(home)
        if published is False:
            publish.withdraw(home)
        try:
            return _changed(home, _described(lab), progress)
        finally:  # a lab that was put back may have other descriptors too
            (publish.publish if published else publish.refresh)(home)


def _changed(home: Home, lab: Json, progress: Progress | None) -> Json:
    """The running lab, changed into this one; its daemon's report.

    A daemon that was killed just now may listen until it is gone: then another one is asked.
    """
    try:
        return call(home, "up", progress=progress, lab=lab)
    except NoDaemon:
        if answers(home):
            raise
        _start_daemon(home)
        return call(home, "up", progress=progress, lab=lab)


def change(home: Home, verb: str, **args: Json) -> Json:
    """A verb that changes a running lab; the daemon's report.  A failure puts the lab back."""
    with home.locked():
        try:
            return call(home, verb, **args)
        finally:
            publish.refresh(home)


def _start(home: Home, lab: "Lab", progress: Progress | None, *, published: bool) -> Json:
    _stop(home)  # what a dead lab of that name has left
    try:
        home.make()
        with tree.start_holder(home) as lifeline:
            _start_daemon(home, lab)
            report = call(home, "up", progress=progress, lab=None)
            if published:
                publish.publish(home)
            tree.commit(lifeline)
    except BaseException:
        _stop(home)
        raise
    return report


@contextmanager
def lasting(lab: "Lab", progress: Progress | None = None) -> Iterator[Home]:
    """A new lab for the block, gone after it, however it or this process ends.

    The process may move into the lab meanwhile, for good.  Files that a killed process has left
    are swept by the next.  Raises UsageError when a lab of that name runs.
    """
    sweep()
    home = Home(lab.name)
    with ExitStack() as undo:
        with home.locked():
            if home.holder() is not None:
                raise UsageError(f"lab '{home.lab}' is running; `testbed down {home.lab}` ends it")
            _load_modules(lab, progress)
            _stop(home)
            home.make()
            undo.callback(_forget, home, home.path.stat().st_ino)
            lifeline = undo.enter_context(tree.start_holder(home))
            undo.callback(ending.hang_up, lifeline, ending.watch(home))
            _start_daemon(home, lab)
            call(home, "up", progress=progress, lab=None)
        yield home


def _forget(home: Home, made: int) -> None:
    """Remove the files of a lab, unless another of its name has come: its directory is new."""
    with suppress(FileNotFoundError), home.locked():
        if home.path.stat().st_ino == made:
            home.remove()


def _described(lab: "Lab") -> Json:
    from testbed.lab import to_json

    return to_json(lab)


def _load_modules(lab: "Lab", progress: Progress | None) -> None:
    from testbed.kernel.machine.modules import load  # with the facts; `down` needs neither
    from testbed.lab import kernel_modules

    for module in kernel_modules(lab):
        if load(module) and progress:
            progress(f"loaded the kernel module {module}: lab {lab.name} needs it")


def _start_daemon(home: Home, lab: "Lab | None" = None) -> None:
    """lab: a new one, which the daemon has from us: it is a fork."""
    from testbed.daemon.process import server  # heavy: only where a daemon is started

    tree.start_daemon(home, partial(server.main, lab=lab))


def down(name: str) -> bool:
    """Take a lab down until nothing of it remains; False when there was none."""
    home = Home(name)
    with home.locked():
        existed = home.holder() is not None
        _stop(home)
        return existed


def _stop(home: Home) -> None:
    publish.withdraw(home)  # first: ours are known by the record of the first process
    ending.stop(home)


def sweep() -> list[str]:
    """Remove the files of labs whose processes are gone; the names of these labs."""
    swept = []
    for home in dict.fromkeys((*homes(), *locks())):
        try:
            with home.locked():
                publish.sweep(home)
                if home.holder() is None and home.path.exists():
                    _stop(home)
                    swept.append(home.lab)
        except UsageError:
            continue  # an `up` is making it right now
    return swept
