"""Which parts of the kernel are there: read, not tried, so that no module gets loaded.

`load` alone loads one: where a lab says that it needs it.  It needs CAP_SYS_MODULE.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from testbed.errors import MissingFeature
from testbed.kernel import sysctl
from testbed.kernel.programs.run import run
from testbed.kernel.rootless.userns import privileged

TIMEOUT_S = 10.0

Presence = Literal["usable", "loadable", "absent", "unknown"]


@dataclass(frozen=True)
class Modules:
    """A kernel's modules.

    dynamic: it can load some; where it cannot, trying is harmless.  usable: built in or loaded.
    loadable: on disk; None where the kernel's files cannot be seen, as in many containers.
    """

    release: str
    dynamic: bool
    usable: frozenset[str] = frozenset()
    loadable: frozenset[str] | None = None

    def presence(self, module: str) -> Presence:
        """Whether a module can be used, could be loaded, or is not there at all."""
        if not self.dynamic or module in self.usable:
            return "usable"
        if self.loadable is None:
            return "unknown"
        return "loadable" if module in self.loadable else "absent"


def modules() -> Modules:
    """The modules of the running kernel."""
    release = os.uname().release
    files = Path("/lib/modules") / release
    loaded = _lines(Path("/proc/modules"))
    if loaded is None:  # CONFIG_MODULES is off
        return Modules(release, dynamic=False)
    with_parameters = [entry.name for entry in Path("/sys/module").iterdir()]
    built_in = _names(_lines(files / "modules.builtin") or [])
    usable = {line.split()[0] for line in loaded} | built_in | set(with_parameters)
    known = _lines(files / "modules.dep")
    loadable = None if known is None else frozenset(_names(known))
    return Modules(release, True, frozenset(usable), loadable)


def load(module: str, kernel: Modules | None = None) -> bool:
    """Load a module; False when it is there already.

    What it would change in the calling thread's network namespace, the host's, stays as it was.
    kernel: its modules; none looks at the running one's.  Raises MissingFeature.
    """
    if (kernel or modules()).presence(module) == "usable":
        return False
    ended = run(["modprobe", module], timeout_s=TIMEOUT_S)
    if ended.returncode:
        said = ended.stderr.strip() or f"exit code {ended.returncode}"
        remedy = "" if privileged() else f"; only root can load it: sudo modprobe {module}"
        raise MissingFeature(f"this lab needs the kernel module {module}: {said}{remedy}")
    for name, (owner, without) in sysctl.OF_MODULES.items():
        if owner == module:
            sysctl.write(name, without)
    return True


def _lines(file: Path) -> list[str] | None:
    try:
        return file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return None


def _names(lines: Iterable[str]) -> set[str]:
    """`kernel/net/8021q/8021q.ko.xz: kernel/net/802/garp.ko.xz …` -> `8021q`."""
    files = (line.partition(":")[0] for line in lines)
    return {Path(file).name.partition(".ko")[0].replace("-", "_") for file in files}
