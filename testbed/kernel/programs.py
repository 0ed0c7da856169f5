"""Running a program where the calling thread is: its network namespace is the program's too."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from testbed.errors import KernelError, MissingFeature

# Debian's and Ubuntu's names
PACKAGES = {
    "conntrack": "conntrack",
    "curl": "curl",
    "ip": "iproute2",
    "iptables-nft-restore": "iptables",
    "iptables-nft-save": "iptables",
    "modprobe": "kmod",
    "nft": "nftables",
    "ping": "iputils-ping",
    "tcpdump": "tcpdump",
    "traceroute": "traceroute",
}
SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"  # an ordinary user's PATH has no sbin on Debian


@dataclass(frozen=True)
class Result:
    """How a program ended: 0 is success, -N ended by signal N; and what it printed."""

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str


def run(argv: Sequence[str], *, stdin: str = "", timeout_s: float) -> Result:
    """What a program answered; a non-zero return code is an answer too.

    The environment is the same for everybody: no proxy for curl, no language but C.
    Raises MissingFeature (the program is not installed), KernelError (no answer in time).
    """
    path = f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}".lstrip(":")
    program = shutil.which(argv[0], path=path)
    if program is None:
        raise MissingFeature(_missing(argv[0]))
    try:
        # Neither preexec_fn nor a change of user: Python then uses vfork, whose cost does not grow
        # with the process (0.8 ms; fork: 5.4 ms at 500 MB).  vfork starts from the calling thread,
        # and so in its namespace.
        ended = subprocess.run(
            [program, *argv[1:]],
            input=stdin,
            capture_output=True,
            check=False,
            encoding="utf-8",
            errors="replace",
            env={"PATH": path, "LC_ALL": "C"},
            timeout=timeout_s,
        )
    except subprocess.TimeoutExpired:
        raise KernelError(f"{' '.join(argv)}: no answer within {timeout_s:g} s") from None
    return Result(tuple(argv), ended.returncode, ended.stdout, ended.stderr)


def _missing(program: str) -> str:
    package = PACKAGES.get(program)
    remedy = f": install the package {package}" if package else ""
    return f"the program {program} is not installed{remedy}"
