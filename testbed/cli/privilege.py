"""As whom a command goes on: root, root through sudo, or this user with namespaces of their own.

A lab belongs to who made it.  A new one is root's where this user is root or may use sudo, and
this user's own otherwise.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from testbed.cli.output import note
from testbed.daemon.process import home as homes
from testbed.daemon.process.home import INSIDE, Home
from testbed.errors import MissingFeature, UsageError

AGAIN = "TESTBED_SUDO"  # in the environment: sudo has been used already


def choose_owner(lab: str, *, rootless: bool) -> None:
    """Go on as who shall own this lab: who has it already; root; root through sudo; this user.

    rootless: leave sudo out.  Raises UsageError when root itself asks for that.
    """
    if os.geteuid() == 0:
        if rootless:
            raise UsageError("--rootless is for ordinary users, and this is root")
        return
    if rootless or _own(lab):
        return
    if refusal := _refusal():
        note(f"{refusal}: lab {lab} is made without root, as this user's own")
    else:
        _through_sudo(sys.argv[1:])


def become_owner(lab: str | None) -> None:
    """Go on as who has this lab, or any: this user first, then root.

    Raises MissingFeature when it is root's and sudo is not to be had.
    """
    if os.geteuid() == 0 or _own(lab) or not roots_labs(lab):
        return
    become_root(sys.argv[1:])


def roots_labs(lab: str | None = None) -> list[str]:
    """The labs an ordinary user cannot look into, running or not: all, or the one of this name."""
    if os.geteuid() == 0 or Home.inside():
        return []
    found = [home.lab for home in homes.homes(homes.ROOT_DIRECTORY)]
    return [name for name in found if lab in (None, name)]


def become_root(words: Sequence[str]) -> NoReturn:
    """Go on as root with these words, for what is root's.

    Raises MissingFeature when sudo is not to be had.
    """
    if refusal := _refusal():
        raise MissingFeature(f"root has labs ({', '.join(roots_labs())}), and {refusal}")
    _through_sudo(words)


def itself() -> str:
    """What to type for this program after `sudo`, whose PATH is its own."""
    typed = sys.argv[0]
    return typed if Path(typed).name == "testbed" else f"{sys.executable} -m testbed"


def _through_sudo(words: Sequence[str]) -> NoReturn:
    """Become this very program as root, with these words.

    sudo keeps no environment: settings (TESTBED_*) are handed on.  `-P`: root must import nothing
    from the directory a user happens to be in.  No file of root's comes into the user's tree.
    """
    sudo = shutil.which("sudo") or "sudo"
    settings = [
        f"{name}={value}"
        for name, value in os.environ.items()
        if name.startswith("TESTBED_") and name != INSIDE
    ]
    environment = ["env", "PYTHONDONTWRITEBYTECODE=1", f"{AGAIN}=1", *settings]
    argv = [sudo, *_quietly(), *environment, sys.executable, "-P", "-m", "testbed", *words]
    os.execv(sudo, argv)


def _own(lab: str | None) -> bool:
    """Whether this user runs the lab of this name, or any."""
    return any(lab in (None, home.lab) for home in homes.running())


def _refusal() -> str:
    """Why this user cannot use sudo; empty when it works.  On a terminal sudo may ask."""
    sudo = shutil.which("sudo")
    if sudo is None or AGAIN in os.environ:
        return "there is no sudo here"
    tried = subprocess.run([sudo, "-n", "true"], capture_output=True, text=True, check=False)
    if tried.returncode and sys.stdin.isatty():
        note("labs are root's where sudo allows it; `testbed up --rootless` makes one without")
        tried = subprocess.run([sudo, "true"], stderr=None, text=True, check=False)
    said = (tried.stderr or "").strip() or "it refuses"
    return f"sudo is not allowed here ({said})" if tried.returncode else ""


def _quietly() -> list[str]:
    """Without a terminal sudo shall fail rather than ask."""
    return [] if sys.stdin.isatty() else ["-n"]
