"""Mininet's command line with pods' names in it, on a terminal or from a script."""

import os
import re
import readline
import select
import sys
import termios
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from logging import ERROR, LogRecord
from pathlib import Path
from typing import Any, NamedTuple

from mininet.cli import CLI
from mininet.log import OUTPUT, StreamHandlerNoNewline, error, lg, output

from testbed.daemon.shown.prompt import View
from testbed.errors import TestbedError
from testbed.files import texts
from testbed.mininet.net import LabNet
from testbed.mininet.nodes import LabNode, uninterrupted

NOT_UNDERSTOOD = 2  # exit code of a script with a line that the prompt complains of

HISTORY = Path("~/.mininet_history")  # mininet.cli
HISTORY_LINES = 1000
HELP = """A command in a pod, node or router, with names as addresses:
  mininet> web-0 ping -c1 client
  mininet> web-0 curl -s http://client/
  mininet> node-1 ip rule
Programs that take over the terminal (vi, top): in another terminal, testbed shell web-0

"""
# A word in which a name stands for an address: client, http://client:8080/path, client:80
ADDRESSED = re.compile(r"(\w+://)?([\w.-]+)([:/].*)?")


class Said(NamedTuple):
    """What a command shows, and the exit code it has where it is a verb of its own."""

    text: str
    code: int = 0


Command = Callable[[list[str]], Said]  # of the words behind its name


def prompt(
    view: View,
    enter: Callable[[], None],
    *,
    restore: Callable[[], object],
    commands: Mapping[str, Command] | None = None,
    script: Iterable[str] | None = None,
) -> int:
    """Mininet's prompt over a running lab, until the user leaves it; the script's exit code.

    enter: moves this process into the lab's namespaces, for good.  restore: brings the kernel back
    to the plan.  commands: more commands by name; a docstring is its help.  script: lines to run
    instead of asking; none reads standard input when that is not a terminal.
    """
    enter()
    net = LabNet(view, restore)
    try:
        with net.burying(), results_on_stdout() as shown:
            return converse(net, commands or {}, script) or shown.code
    finally:
        with uninterrupted():  # or a shell might be left behind
            net.stop()


def converse(
    net: LabNet, commands: Mapping[str, Command], script: Iterable[str] | None = None
) -> int:
    """Mininet's prompt over a net; the arguments are those of `prompt`.

    0, or the exit code of a testbed verb in the script that failed.
    """
    cli = _with_commands(commands)(net)
    if script is None and cli.isatty():
        cli.interact()
    else:
        cli.read(sys.stdin if script is None else script)
    return 0 if cli.isatty() and script is None else cli.code


class LabCli(CLI):  # type: ignore[misc]  # mininet is untyped
    """Mininet's commands, less those that reach beyond the lab."""

    identchars = CLI.identchars + "-."  # of a command's first word: web-0, kube-system.coredns-0
    helpStr = HELP

    def __init__(self, net: LabNet) -> None:
        # Mininet's own constructor is the whole session, and its script reader is not ours.
        self.mn = net
        self.locals: dict[str, Any] = {"net": net}
        self.inputFile = None
        self.code = 0
        super(CLI, self).__init__()

    def interact(self) -> None:
        """Ask for commands until `exit`; the terminal is left as it was found."""
        terminal = termios.tcgetattr(self.stdin)
        try:
            with _history():
                self.run()
        finally:
            termios.tcsetattr(self.stdin, termios.TCSADRAIN, terminal)

    def read(self, lines: Iterable[str]) -> bool:
        """Run commands until the lines end or one leaves; whether one did."""
        return any(self.onecmd(self.precmd(line).strip()) for line in lines)

    def onecmd(self, line: str) -> bool:
        """Run one command; what it complains of is shown, and the prompt goes on."""
        try:
            return bool(super().onecmd(line))
        except TestbedError as problem:
            error(f"*** {problem}\n")
            self.code = self.code or problem.exit_code
            return False

    def default(self, line: str) -> None:
        """`web-0 ping client`: a command in a place, with addresses instead of names."""
        first, words, line = self.parseline(line)
        if first not in self.mn:
            error(f"*** Unknown command: {line}\n")
        elif not words:
            error(f"*** Please enter a command for node: {first} <cmd>\n")
        else:
            node = self.mn[first]
            node.sendCmd(self.addressed(words))
            self.waitForNode(node)

    def addressed(self, words: str) -> str:
        """A command with the addresses of the places its arguments name."""
        program, *arguments = words.split(" ")
        return " ".join([program, *map(self._addressed, arguments)])

    def _addressed(self, word: str) -> str:
        parts = ADDRESSED.fullmatch(word)
        node = self.mn.nameToNode.get(parts[2]) if parts else None
        if parts is None or node is None or not node.intfs:
            return word
        return f"{parts[1] or ''}{node.IP() or parts[2]}{parts[3] or ''}"

    def waitForNode(self, node: LabNode) -> None:
        """Show what a command prints until it ends.

        On a terminal what is typed meanwhile goes to the command, and ^C interrupts it.
        """
        typed = False
        ready = select.poll()
        ready.register(node.stdout, select.POLLIN)
        with self._keys_at_once(ready) as keyboard:
            while node.waiting:
                try:
                    for file, _ in ready.poll():
                        if file == keyboard:
                            typed = True
                            os.write(node.stdin.fileno(), os.read(keyboard, 1024))
                        else:
                            output(node.monitor().replace("\r\n", "\n"))
                except KeyboardInterrupt:
                    node.sendInt()
            if typed:
                node.settle()

    @contextmanager
    def _keys_at_once(self, ready: select.poll) -> Iterator[int]:
        """The terminal hands over every key as it comes; nothing where there is no terminal."""
        if not self.isatty():
            yield -1
            return
        keyboard = self.stdin.fileno()
        before = termios.tcgetattr(keyboard)
        during = termios.tcgetattr(keyboard)
        during[3] &= ~(termios.ICANON | termios.ECHOCTL)  # ECHOCTL would show Enter as ^J
        termios.tcsetattr(keyboard, termios.TCSADRAIN, during)
        ready.register(keyboard, select.POLLIN)
        try:
            yield keyboard
        finally:
            termios.tcsetattr(keyboard, termios.TCSADRAIN, before)

    def do_net(self, _line: str) -> None:
        """List network connections."""
        for node in self.mn.values():
            ends = [f"{intf}:{_peer(intf)}" for intf in node.intfList()]
            output(f"{' '.join([node.name, *ends])}\n")

    def do_source(self, line: str) -> bool:
        """Read commands from a file.  Usage: source <file>"""
        return self.read(lines_of(line))

    def do_xterm(self, line: str, term: str = "xterm") -> None:
        """How to get a terminal in a place."""
        error(f"*** in a terminal of your own: testbed shell {line or 'web-0'}\n")

    do_x = do_gterm = do_xterm

    def do_switch(self, line: str) -> None:
        """How to break something instead."""
        error("*** instances and routers keep running; `link node-1 vpc-main down` cuts one off\n")

    def completenames(self, text: str, *_: Any) -> list[str]:
        """Commands and places that begin so."""
        return [*super().completenames(text), *self.completedefault(text)]

    def completedefault(self, text: str, *_: Any) -> list[str]:
        """Places that begin so."""
        return [name for name in self.mn if name.startswith(text)]

    def preloop(self) -> None:
        """Let the Tab key complete names with hyphens and dots."""
        readline.set_completer_delims(" \t\n/:")


def lines_of(script: str) -> list[str]:
    """The commands in a file.  Raises DescriptionError, which names the file."""
    [text] = texts([script]).values()
    return text.splitlines()


def _peer(intf: Any) -> str:
    """What is at the other end of an interface: `node-1/eni5c1a7e1f0bb`."""
    if intf.link is None:
        return ""
    peer = intf.link.intf2 if intf.link.intf1 is intf else intf.link.intf1
    return f"{peer.node}/{peer}"


def _with_commands(commands: Mapping[str, Command]) -> type[LabCli]:
    """The command line with more commands, which then show up in `help` and completion too."""
    return type("Cli", (LabCli,), {f"do_{name}": _verb(run) for name, run in commands.items()})


def _verb(run: Command) -> Callable[[LabCli, str], None]:
    def do(cli: LabCli, line: str) -> None:
        text, code = run(line.split())
        output(text if not text or text.endswith("\n") else f"{text}\n")
        cli.code = cli.code or code

    do.__doc__ = run.__doc__
    return do


@contextmanager
def _history() -> Iterator[None]:
    """Earlier commands are there, and later sessions will find these."""
    file = HISTORY.expanduser()
    with suppress(OSError):
        readline.read_history_file(file)
    readline.set_history_length(HISTORY_LINES)
    try:
        yield
    finally:
        with suppress(OSError):
            readline.write_history_file(file)


class _Streams(StreamHandlerNoNewline):  # type: ignore[misc]  # mininet is untyped
    """Mininet's messages: what commands print to standard output, complaints to standard error.

    code (state): NOT_UNDERSTOOD once there was a complaint.
    """

    code = 0

    def emit(self, record: LogRecord) -> None:
        if record.levelno >= ERROR:
            self.code = NOT_UNDERSTOOD
        self.stream = sys.stdout if record.levelno <= OUTPUT else sys.stderr
        super().emit(record)


@contextmanager
def results_on_stdout() -> Iterator[_Streams]:
    """Mininet writes everything to standard error; here results can be piped."""
    streams = _Streams()
    handlers, lg.handlers = lg.handlers, [streams]
    try:
        yield streams
    finally:
        lg.handlers = handlers
