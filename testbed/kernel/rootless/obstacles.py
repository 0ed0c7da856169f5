"""Why a kernel gives an ordinary user no namespaces, and what to do about it."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from testbed.errors import MissingFeature

SYSCTLS = Path("/proc/sys")


@dataclass(frozen=True)
class Setting:
    """A sysctl that keeps ordinary users from namespaces while it has this value."""

    name: str
    value: str
    remedy: str

    def in_the_way(self) -> str:
        """What is in the way; empty when it is another value, or this kernel has no such sysctl.

        AppArmor's are for root alone to read: where they are, they are suspected.
        """
        file = SYSCTLS / self.name.replace(".", "/")
        try:
            found = file.read_text(encoding="ascii").strip()
            return f"{self.name} = {self.value}" if found == self.value else ""
        except PermissionError:
            return f"{self.name}, which only root can read, is probably {self.value}"
        except OSError:
            return ""


LIMITS = tuple(
    Setting(name, "0", f"sudo sysctl {name}=10000")
    for name in (f"user.max_{kind}_namespaces" for kind in ("user", "net", "mnt", "pid"))
)
SETTINGS = (
    *LIMITS,
    # Debian's own, before its release 11 by default
    Setting(
        "kernel.unprivileged_userns_clone", "0", "sudo sysctl kernel.unprivileged_userns_clone=1"
    ),
    # Ubuntu 23.10 and later: such a namespace can be made, but has no capabilities
    Setting(
        "kernel.apparmor_restrict_unprivileged_userns",
        "1",
        "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor profile with "
        "`userns,` for this Python",
    ),
)
OUTSIDE = "run outside the container, or as root, with sudo"
FILTERED = (
    "a seccomp filter, as containers have: docker run --security-opt seccomp=unconfined, or run "
    "outside the container"
)
HIDDEN = (
    "parts of /proc or /sys are hidden, as in containers: docker run --security-opt "
    "systempaths=unconfined, or run outside the container"
)
EXHAUSTED = "raise the sysctls user.max_{user,net,mnt,pid}_namespaces"


@contextmanager
def explained() -> Iterator[None]:
    """A refusal in this block says what is in the way and what to do about it.

    Raises MissingFeature instead of OSError.
    """
    try:
        yield
    except OSError as refused:
        said = f"{refused.filename}: {refused.strerror}" if refused.filename else refused.strerror
        raise MissingFeature(
            f"no namespaces for this user here ({said}): {reason(refused)}"
        ) from refused


def remedy() -> str:
    """What lets an ordinary user have namespaces here, as far as it can be told."""
    return "; ".join(one.remedy for one in SETTINGS if one.in_the_way()) or OUTSIDE


def reason(refused: OSError) -> str:
    """Why the kernel refused, as far as it can be told, and the remedy."""
    if found := _in_the_way(SETTINGS):
        return found
    if "mount" in str(refused.strerror):
        return HIDDEN
    if _filtered():
        return FILTERED
    return "the kernel does not say why (a chroot, a security module?)"


def limits() -> str:
    """Which limit allows no more namespaces, as far as it can be told, and the remedy."""
    return _in_the_way(LIMITS) or EXHAUSTED


def refuse_without_limits() -> None:
    """Raise MissingFeature where there shall be no namespaces at all.

    To be asked in time: a new user namespace has limits of its own, and shows only those.
    """
    if found := _in_the_way(LIMITS):
        raise MissingFeature(f"no namespaces for this user here: {found}")


def _in_the_way(settings: Iterable[Setting]) -> str:
    found = [(one.in_the_way(), one.remedy) for one in settings]
    return "; ".join(f"{what}: {remedy}" for what, remedy in found if what)


def _filtered() -> bool:
    """Whether a seccomp filter judges this process' system calls: `Seccomp:	2` in proc(5)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return "\nSeccomp:\t2\n" in status
