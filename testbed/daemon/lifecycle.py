"""A lab's beginning and end: what `up` and `down` do, for the command line and for scripts."""

import os
from collections.abc import Callable

from testbed.daemon import tree
from testbed.daemon.home import Home, homes
from testbed.daemon.protocol import Json, answers, call
from testbed.errors import MissingFeature, UsageError
from testbed.lab import Lab, to_json

Progress = Callable[[str], None]


def up(lab: Lab, progress: Progress | None = None) -> Json:
    """Bring `lab` up, or change the running lab of that name into it; the daemon's report.

    A failure or an interrupt while a lab is new leaves nothing of it; a running lab is put back.
    """
    home = Home(lab.name)
    with home.locked():
        if home.holder() is None:
            return _start(home, lab, progress)
        if not answers(home):
            _start_daemon(home)
        return call(home, "up", progress=progress, lab=to_json(lab))


def _start(home: Home, lab: Lab, progress: Progress | None) -> Json:
    home.make()
    try:
        lifeline = tree.start_holder(home)
        try:
            _start_daemon(home)
            report = call(home, "up", progress=progress, lab=to_json(lab))
            lifeline.send(b"commit")
        finally:
            lifeline.close()
    except BaseException:
        tree.stop(home)
        raise
    return report


def _start_daemon(home: Home) -> None:
    from testbed.daemon import server  # heavy: only where a daemon is started

    tree.start_daemon(home, server.main)


def down(name: str) -> bool:
    """Take a lab down until nothing of it remains; False when there was none."""
    home = Home(name)
    with home.locked():
        existed = home.holder() is not None
        tree.stop(home)
        return existed


def sweep() -> list[str]:
    """Remove the files of labs whose processes are gone; their names."""
    swept = []
    for home in homes():
        try:
            with home.locked():
                if home.holder() is None:
                    home.remove()
                    swept.append(home.lab)
        except UsageError:
            continue  # an `up` is making it right now
    return swept


def check_privilege() -> None:
    """Raise MissingFeature when this user cannot run labs."""
    if os.geteuid() != 0:
        raise MissingFeature(
            "labs need root: run this with sudo (rootless labs are not there yet)"
        )
