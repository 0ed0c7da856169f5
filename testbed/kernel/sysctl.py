"""Sysctls below /proc/sys, of the network namespace the calling thread is in."""

import os
from collections.abc import Iterable
from pathlib import Path

from testbed.errors import KernelError, MissingFeature
from testbed.net.facts import OF_DEVICE, Sysctl

PROC_SYS = Path("/proc/sys")
LONGEST = 4096  # bytes: proc_sysctl.c gives no more than a page at once

# Sysctls that come with a module: without it the kernel behaves as with this value.
OF_MODULES = {
    f"net.bridge.bridge-nf-call-{tables}": ("br_netfilter", "0")
    for tables in ("iptables", "ip6tables", "arptables")
}


def path(name: str) -> Path:
    """The file of a sysctl: dots become slashes, but for those in a device's name."""
    device = OF_DEVICE.fullmatch(name)
    if not device:
        return PROC_SYS / name.replace(".", "/")
    family = PROC_SYS / "net" / f"ipv{device['version']}"
    return family / device["kind"] / device["dev"] / device["setting"]


def read(name: str) -> str | None:
    """A sysctl's value, its words parted by one blank; None when this namespace has none such."""
    try:
        return b" ".join(_content(path(name)).split()).decode()
    except FileNotFoundError:
        _, without = OF_MODULES.get(name, ("", None))
        return without


def write(name: str, value: str) -> None:
    """Set a sysctl.

    One of a device without IPv6 needs no setting: the machine has none, or the MTU is below 1280.
    Raises KernelError with the kernel's reason, MissingFeature where a module is not loaded.
    """
    try:
        _put(path(name), f"{value}\n".encode())
    except FileNotFoundError as absent:
        module, without = OF_MODULES.get(name, ("", ""))
        if not module:
            if _without_ipv6(name):
                return
            raise KernelError(f"sysctl {name} = {value}: {absent.strerror}") from absent
        if value != without:
            needed = f"sysctl {name} = {value}: `modprobe {module}` is needed"
            raise MissingFeature(needed) from absent
    except OSError as refused:
        raise KernelError(f"sysctl {name} = {value}: {refused.strerror}") from refused


def write_all(facts: Iterable[Sysctl]) -> None:
    """Set sysctls of the namespace the thread is in.  Raises as `write`, with its name."""
    for fact in facts:
        try:
            write(fact.name, fact.value)
        except KernelError as refused:
            raise KernelError(f"{fact.ns}: {refused}") from refused


def _content(file: Path) -> bytes:
    """What is in a small file; without Python's own buffers, as there are thousands to be read."""
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, LONGEST)
    finally:
        os.close(descriptor)


def _put(file: Path, value: bytes) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, value)
    finally:
        os.close(descriptor)


def _without_ipv6(name: str) -> bool:
    """Whether a sysctl belongs to a device to which IPv6 is not there."""
    device = OF_DEVICE.fullmatch(name)
    if not device or device["version"] != "6":
        return False
    return not path(name).parent.exists()
