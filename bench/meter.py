"""What a measured run used: time, CPU, memory."""

import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

KERNEL_MEMORY = ("Slab:", "Percpu:", "KernelStack:")
Numbers = dict[str, float]


@dataclass
class Used:
    """Filled in when the measured block ends (state: that)."""

    seconds: float = 0.0
    cpu_s: float = 0.0


@contextmanager
def used() -> Iterator[Used]:
    """The time and the CPU that a block uses; CPU with that of programs it waited for."""
    spent = Used()
    cpu, began = _cpu_s(), time.perf_counter()
    try:
        yield spent
    finally:
        spent.seconds, spent.cpu_s = time.perf_counter() - began, _cpu_s() - cpu


def kernel_kib() -> int:
    """Kernel memory of the whole machine."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.split()[0] in KERNEL_MEMORY)


def process_kib(pids: list[int]) -> int:
    """Memory of these processes, shared pages counted in proportion."""
    return sum(_proportional_kib(pid) for pid in pids)


def tree(pid: int) -> list[int]:
    """A process and all its descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            children.setdefault(_parent(entry), []).append(int(entry.name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def _cpu_s() -> float:
    both = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(u.ru_utime + u.ru_stime for u in map(resource.getrusage, both))


def _parent(entry: Path) -> int:
    try:
        stat = (entry / "stat").read_text()
    except OSError:
        return 0  # it ended meanwhile
    return int(stat[stat.rindex(")") + 2 :].split()[1])


def _proportional_kib(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def own_tree_kib() -> int:
    """Memory of this process and all it started."""
    return process_kib(tree(os.getpid()))
