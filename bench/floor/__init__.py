"""What the kernel itself charges: C programs, compiled when the benchmark is run."""

import shutil
import subprocess
from pathlib import Path

from testbed.errors import MissingFeature

SOURCES = Path(__file__).parent
COMPILED = SOURCES.parent / "out"
PROGRAMS = ("pods", "probes")


def program(name: str) -> str:
    """The path of a floor program, compiled if it is older than its sources.

    Raises MissingFeature without a C compiler.
    """
    target = COMPILED / name
    sources = [SOURCES / f"{name}.c", *SOURCES.glob("*.h")]
    if not target.exists() or target.stat().st_mtime < max(s.stat().st_mtime for s in sources):
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            raise MissingFeature("no C compiler: install the packages gcc and libc6-dev")
        COMPILED.mkdir(exist_ok=True)
        subprocess.run([compiler, "-O2", "-o", str(target), str(sources[0])], check=True)
    return str(target)
