"""The command line: one verb, one short function; the only place that prints or exits."""

import os
import sys
import warnings
from typing import Any, NoReturn

import click

from testbed import __version__
from testbed.errors import IgnoredSetting, TestbedError, told

# verb: the module that has it.  A module is imported when its verb is used, so that all are quick.
VERBS = {
    "up": "lifecycle",
    "down": "lifecycle",
    "ls": "lifecycle",
    "clean": "lifecycle",
    "validate": "describe",
    "schema": "describe",
    "doctor": "describe",
    "set": "rollout",
    "restart": "restart",
    "upgrade": "upgrade",
    "render": "render",
    "ipam": "ipam",
    "apply": "manifests",
    "delete": "manifests",
    "get": "look",
    "describe": "services",
    "path": "look",
    "explain": "explain",
    "slide": "look",
    "exec": "inside",
    "shell": "inside",
    "mininet": "inside",
    "ping": "check",
    "matrix": "check",
    "clients": "clients",
    "verify": "check",
    "demo": "demo",
}
HELP = {
    "up": "Bring a lab up, or change a running one to what its file says.",
    "down": "Take a lab down; nothing of it remains.",
    "ls": "The labs of this machine.",
    "clean": "Remove what dead labs left behind.",
    "validate": "Check a topology file without touching the kernel.",
    "schema": "The JSON schema of topology files, for editors.",
    "doctor": "What this machine has and lacks for the labs.",
    "upgrade": "Which subnets are short of addresses for an update of a cluster's version.",
    "set": "Other settings for the CNI of a running lab.",
    "restart": "The CNI's daemon starts again on a running lab.",
    "render": "A node's rules, routes, iptables text as its CNI would make them; without a lab.",
    "ipam": "What ipamD does next for a given data store.",
    "apply": "Put Kubernetes manifests into a running lab.",
    "delete": "Take the objects of manifests out of a running lab.",
    "get": "Nodes, pods, Services, subnets, ENIs, routes, rules … of a running lab.",
    "describe": "A Service: its addresses, endpoints, and rules on a node.",
    "path": "The way of a packet from A to B, as the kernels on it would take it.",
    "explain": "One packet's life, predicted and followed, told rule by rule.",
    "slide": "The workshop's slides beside what the kernel prints.",
    "exec": "Run a command in a pod, node or router.",
    "shell": "A shell in a pod, node or router; without a name, in the lab.",
    "mininet": "Mininet's own prompt over the running lab.",
    "ping": "Ping from A to B.",
    "matrix": "Probe every pair of pods.",
    "clients": "Whom a peer, an office and the internet see as client, per SNAT setting.",
    "verify": "Compare the kernel with the plan.",
    "demo": "Bring a lab up, prove it with real pings and curls, say what to try.",
}


class Verbs(click.Group):
    """A group that knows its verbs by name and imports them one at a time."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All verbs, in the order of a lab's life."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb's own command, or None."""
        if cmd_name not in VERBS:
            return None
        module = __import__(f"testbed.cli.{VERBS[cmd_name]}", fromlist=[cmd_name])
        command = getattr(module, f"{cmd_name}_")
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The verbs and what they are for, without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(HELP.items()))


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="testbed")
def testbed() -> None:
    """Amazon EKS and kops networking on an emulated VPC, with real packets, on this machine."""


def main() -> None:
    """Run the command line; a TestbedError is one message and its exit code."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", IgnoredSetting)
            warnings.showwarning = _show_warning
            testbed(standalone_mode=False, prog_name="testbed", color=_color())
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("testbed: interrupted", err=True)
        sys.exit(130)
    except TestbedError as error:
        _report(error)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except Exception as error:
        if os.environ.get("TESTBED_TRACEBACK"):
            raise
        _report(told(error))


def _report(error: TestbedError) -> NoReturn:
    """One message, and the exit code of its class."""
    click.echo(f"{click.style('error', fg='red')}: {error}", err=True, color=_color())
    sys.exit(error.exit_code)


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    click.echo(f"{click.style('warning', fg='yellow')}: {message}", err=True, color=_color())


def _color() -> bool | None:
    """None lets the terminal decide; NO_COLOR in the environment says no (no-color.org)."""
    return False if os.environ.get("NO_COLOR") else None
