"""How something of a kernel is tried: in an empty network namespace, by real programs."""

import os
from collections.abc import Callable
from dataclasses import dataclass

from testbed.errors import KernelError, TestbedError
from testbed.kernel.machine.modules import Modules
from testbed.kernel.namespaces.enter import entered, new_netns
from testbed.kernel.programs.run import run

TIMEOUT_S = 10.0

Attempt = Callable[[], None]


@dataclass(frozen=True)
class Feature:
    """Something of the kernel, what for, and how to try it.  An attempt that fails raises.

    modules: those that trying would load.  autoload: the kernel loads them when a lab needs them.
    """

    name: str
    use: str
    attempt: Attempt
    modules: tuple[str, ...] = ()
    needed: bool = False
    autoload: bool = True


def commands(*lines: str) -> Attempt:
    """Programs that have to succeed, in this order."""

    def attempt() -> None:
        for line in lines:
            succeed(line.split(), "")

    return attempt


def iptables(table: str, rule: str) -> Attempt:
    """A rule that iptables-nft-restore has to accept."""
    return lambda: succeed(["iptables-nft-restore"], f"*{table}\n{rule}\nCOMMIT\n")


def nft(script: str) -> Attempt:
    """A transaction that nft has to accept."""
    return lambda: succeed(["nft", "-f", "-"], script)


def succeed(argv: list[str], stdin: str) -> None:
    """Run a program; raises KernelError with the first line it said when it fails."""
    ended = run(argv, stdin=stdin, timeout_s=TIMEOUT_S)
    if ended.returncode:
        said = (ended.stderr or ended.stdout).strip().splitlines()
        raise KernelError(said[0] if said else f"{argv[0]}: exit code {ended.returncode}")


def try_all(features: tuple[Feature, ...], modules: Modules) -> dict[str, str]:
    """What was complained of, by feature; empty is fine.  What would load a module is left out.

    For a process in scratch namespaces.
    """
    return {
        feature.name: _complaint(feature)
        for feature in features
        if all(modules.presence(module) == "usable" for module in feature.modules)
    }


def words(problem: Exception) -> str:
    """What an error says to a reader: no number, but the file it is about."""
    if isinstance(problem, OSError) and problem.strerror:
        return f"{problem.filename}: {problem.strerror}" if problem.filename else problem.strerror
    return str(problem)


def _complaint(feature: Feature) -> str:
    namespace = new_netns()
    try:
        with entered(namespace):
            feature.attempt()
    except (OSError, TestbedError) as problem:
        return words(problem)
    finally:
        os.close(namespace)
    return ""
