"""Running a program where the calling thread is: its network namespace is the program's too."""

import os
import select
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from testbed.errors import KernelError, MissingFeature
from testbed.kernel.machine import mounts

# Debian's and Ubuntu's names
PACKAGES = {
    "conntrack": "conntrack",
    "curl": "curl",
    "dnsmasq": "dnsmasq-base",
    "haproxy": "haproxy",
    "ip": "iproute2",
    "iptables-nft-restore": "iptables",
    "iptables-nft-save": "iptables",
    "modprobe": "kmod",
    "nft": "nftables",
    "openssl": "openssl",
    "ping": "iputils-ping",
    "setpriv": "util-linux",
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


def run(
    argv: Sequence[str],
    *,
    stdin: str = "",
    timeout_s: float,
    files: Mapping[str, Path] | None = None,
) -> Result:
    """What a program answered; a non-zero return code is an answer too.

    The environment is the same for everybody: no proxy for curl, no language but C.
    files: what the program finds in the place of the machine's own: `/etc/resolv.conf`.
    Raises MissingFeature (the program is not installed), KernelError (no answer in time).
    """
    if not files:
        return _run(argv, stdin, timeout_s)

    def covered() -> Result:
        mounts.own()
        mounts.cover(files)
        return _run(argv, stdin, timeout_s)

    # A thread of its own: its mount namespace ends with it.  Its network is the calling thread's.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(covered).result()


def _run(argv: Sequence[str], stdin: str, timeout_s: float) -> Result:
    # Files, not pipes: nft writes a listing in 80,000 pieces, each of which would wake us.
    with _memory("input") as given, _memory("output") as output, _memory("errors") as errors:
        given.write(stdin)
        given.seek(0)
        # Neither preexec_fn nor a change of user: Python then uses vfork, whose cost does not grow
        # with the process (0.8 ms; fork: 5.4 ms at 500 MB).  vfork starts from the calling thread,
        # and so in its namespaces.
        process = subprocess.Popen(
            [located(argv[0]), *argv[1:]],
            stdin=given,
            stdout=output,
            stderr=errors,
            env=environment(),
        )
        code = _ended(process, timeout_s)
        if code is None:
            raise KernelError(f"{' '.join(argv)}: no answer within {timeout_s:g} s")
        output.seek(0)
        errors.seek(0)
        return Result(tuple(argv), code, output.read(), errors.read())


def _memory(name: str) -> IO[str]:
    return os.fdopen(os.memfd_create(name), "w+", encoding="utf-8", errors="replace")


def _ended(process: "subprocess.Popen[bytes]", timeout_s: float) -> int | None:
    """The exit code as soon as there is one; none when it has to be killed.

    (`Popen.wait` with a timeout looks only now and then.)
    """
    handle = os.pidfd_open(process.pid)
    try:
        ends = select.poll()
        ends.register(handle, select.POLLIN)
        if ends.poll(timeout_s * 1000):
            return process.wait()
    finally:
        os.close(handle)
        if process.returncode is None:
            process.kill()
            process.wait()
    return None


def located(program: str) -> str:
    """The file of a program.  Raises MissingFeature naming the package that has it."""
    found = shutil.which(program, path=path())
    if found is None:
        package = PACKAGES.get(program)
        remedy = f": install the package {package}" if package else ""
        raise MissingFeature(f"the program {program} is not installed{remedy}")
    return found


def environment() -> dict[str, str]:
    """What every program is given."""
    return {"PATH": path(), "LC_ALL": "C"}


def path() -> str:
    """Where programs are looked for: where the user does, then where the system's are."""
    return f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}".lstrip(":")
