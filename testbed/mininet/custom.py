"""Labs for Mininet's own `mn`: what a `--custom` file calls; see docs/mininet.md.

`mn` answers every exception, ^C too, with a clean-up of the whole machine: it kills processes by
name, removes /tmp/*.log and devices called *-eth0.  `install` keeps it from that first of all.
"""

import atexit
import os
import sys
from contextlib import ExitStack
from typing import Any

from mininet.log import info, warn
from mininet.node import NullController
from mininet.util import buildTopo

from testbed.errors import TestbedError, UsageError
from testbed.lab import LONGEST_NAME, Lab
from testbed.mininet.net import LabNet
from testbed.mininet.own import own_lab, reported
from testbed.mininet.prompt import converse, lines_of

NETS = ("Mininet", "MininetWithControlNet", "MininetCluster")  # which of them, options decide
WITHOUT_EFFECT = {  # options of `mn` by the arguments it makes of them
    "autoPinCpus": "--pin",
    "autoSetMacs": "--mac",
    "autoStaticArp": "--arp",
    "inNamespace": "--innamespace",
    "servers": "--cluster",
    "xterms": "--xterms",
}
INTERRUPTED = 130  # exit code, as of a shell: 128 + SIGINT


def install() -> None:
    """From now on the `mn` that runs builds labs, and leaves the machine as it is.

    A topology of a `--custom` file is then a function that returns a Lab.  In any other program
    this does nothing.
    """
    program = sys.modules["__main__"]
    if hasattr(program, "MininetRunner"):
        vars(program).update(
            dict.fromkeys(NETS, _net),
            CLI=_prompt,
            buildTopo=_topology,
            cleanup=_leave,
            findController=lambda: NullController,
        )


def _leave() -> None:
    """Instead of the clean-up: this process ends, and its lab with it."""
    match sys.exc_info()[1]:
        case None:  # mn --clean
            info("*** Nothing to clean: a lab ends with its process\n")
            raise SystemExit(0)
        case KeyboardInterrupt():
            raise SystemExit(INTERRUPTED)
        case problem:
            raise SystemExit(getattr(problem, "exit_code", 1))


def _topology(topologies: dict[str, Any], text: str) -> Any:
    """The lab `--topo` asks for; whatever the topology's own code raises is one message."""
    with reported():
        try:
            return buildTopo(topologies, text)
        except TestbedError:
            raise
        except Exception as problem:
            raise UsageError(f"--topo {text}: {problem}") from problem


def _net(topo: Any, **options: Any) -> LabNet:
    """The net of a lab that is up until this process ends, by itself or not."""
    with reported():
        if not isinstance(topo, Lab):
            raise UsageError("this `mn` builds labs: choose one of the custom file's with --topo")
        ignored = [option for name, option in WITHOUT_EFFECT.items() if options.get(name)]
        if ignored:
            warn(f"*** Without effect on a lab: {' '.join(ignored)}\n")
        lifetime = ExitStack()
        atexit.register(lifetime.close)
        lab = _own(topo)
        net = lifetime.enter_context(own_lab(lab, LabNet))
    info(f"*** Lab {lab.name}: {len(net.hosts)} pods, {len(net.switches)} nodes and routers\n")
    return net


def _own(lab: Lab) -> Lab:
    """The lab under a name of this process alone: it may run elsewhere, too."""
    from testbed.load import renamed

    suffix = f"-mn-{os.getpid()}"
    return renamed(lab, f"{lab.name[: LONGEST_NAME - len(suffix)]}{suffix}")


def _prompt(net: LabNet, script: str | None = None) -> None:
    """The prompt, or the commands of a file: `--pre` and `--post`."""
    from testbed.cli.inside.prompt import commands  # the testbed's verbs

    with reported():
        converse(net, commands(), lines_of(script) if script else None)
