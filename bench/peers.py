"""The programs that peers need: fetched into `bench/out` where the machine has none."""

import os
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

FETCHED = Path(__file__).parent / "out" / "peers"

# Mininet's package on PyPI has none of them; by the Debian package each is in.
PROGRAMS = {"mnexec": "mininet", "ifconfig": "net-tools", "brctl": "bridge-utils"}


def path() -> str:
    """PATH with the fetched programs behind the machine's own."""
    return ":".join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin", str(FETCHED)])


def missing() -> list[str]:
    """The programs that are not there."""
    return [program for program in PROGRAMS if not shutil.which(program, path=path())]


def fetch() -> None:
    """Fetch what is missing; what cannot be had stays missing.  Nothing is installed."""
    if shutil.which("apt-get") and shutil.which("dpkg"):
        FETCHED.mkdir(parents=True, exist_ok=True)
        for program in missing():
            _fetch(program, PROGRAMS[program])


def _fetch(program: str, package: str) -> None:
    """Take one program out of a Debian package."""
    with TemporaryDirectory() as name:
        unpacked = Path(name)
        download = ["apt-get", "-qq", "download", package]
        subprocess.run(download, cwd=unpacked, capture_output=True, check=False)
        for archive in unpacked.glob("*.deb"):
            subprocess.run(["dpkg", "-x", str(archive), name], check=True)
        for found in unpacked.glob(f"**/*bin/{program}"):
            shutil.copy(found, FETCHED)
