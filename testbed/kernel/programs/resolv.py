"""The resolv.conf of each place of a lab, as files that are shown to the programs there.

A directory holds each text once, `.HASH`, of which every namespace's file is a hard link: 3,000
pods have some three texts, and such a link takes 0.2 KiB of the kernel's memory, a symbolic one 1.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from testbed.kernel.machine import whole
from testbed.net import names

RESOLV_CONF = "/etc/resolv.conf"
SWITCH = "/etc/nsswitch.conf"
OUR_SWITCH = ".nsswitch.conf"
NEW = ".new"


def write(directory: Path, resolvers: Mapping[str, str]) -> None:
    """Bring a directory up to date; resolvers: the text of each namespace.

    A reader sees the old text or the new one, whole.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    texts = {text: f".{names.digest(text, length=16)}" for text in set(resolvers.values())}
    for text, name in texts.items():
        _write(directory / name, text)
    if (switch := Path(SWITCH)).exists():
        _write(directory / OUR_SWITCH, _by_dns(switch.read_text(encoding="utf-8")))
    with os.scandir(directory) as entries:
        there = {one.name: one.inode() for one in entries if not one.name.startswith(".")}
    inodes = {text: (directory / name).stat().st_ino for text, name in texts.items()}
    new = directory / NEW
    new.unlink(missing_ok=True)  # of somebody who was killed
    for netns, text in resolvers.items():
        if there.pop(netns, 0) != inodes[text]:
            new.hardlink_to(directory / texts[text])
            new.replace(directory / netns)
    for gone in there:
        (directory / gone).unlink()


def shown(directory: Path, netns: str) -> dict[str, Path]:
    """What programs in a namespace find in the place of the machine's own files."""
    return {RESOLV_CONF: directory / netns, SWITCH: directory / OUR_SWITCH}


def _write(file: Path, text: str) -> None:
    """Raises OSError on a full file system; not for a text that is there already."""
    if file.exists() and file.read_text(encoding="utf-8") == text:
        return
    whole.write(file, text)


def _by_dns(switch: str) -> str:
    """nsswitch.conf with `hosts: files dns`.

    The module `resolve` would ask the machine's systemd-resolved through a Unix socket, which no
    network namespace keeps out.
    """
    return re.sub(r"^hosts:.*$", "hosts: files dns", switch, flags=re.MULTILINE)
