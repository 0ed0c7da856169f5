"""kill -9 at random moments: the next command is right, and in the end nothing is left.

    pytest tests/cli/life/test_killed_anywhere.py --rounds 200 [--seed N]

A round is the life of one lab: something is killed, then a few commands show that all is well.
"""

import json
import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from testbed.daemon.process.home import Home, directory
from tests.cli.conftest import Commands, OnAHost
from tests.cli.forked import Done, Verb, run
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.kernel

GONE_S = PATIENCE_S  # by then the kernel has taken all of a killed lab
NAMES = Path("/run/netns")


@dataclass(frozen=True)
class Left:
    """What is on the host besides this test."""

    processes: frozenset[int]
    files: frozenset[str]
    mounts: str
    descriptors: int


def left() -> Left:
    """What is there now; the dead are buried first, for this test is their last parent."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    here = {int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()}
    files = {str(file) for top in (directory(), NAMES) if top.exists() for file in top.rglob("*")}
    return Left(
        frozenset(here - {os.getpid()}),
        frozenset(files),
        Path("/proc/self/mountinfo").read_text(),
        len([*Path("/proc/self/fd").iterdir()]),
    )


@dataclass
class Round:
    """One round over a lab (state: its dice)."""

    commands: Commands
    dice: random.Random

    def good(self, *words: str) -> Done:
        """A verb that has to succeed."""
        done = run(*words)
        assert done.code == 0, done
        return done

    def up(self) -> Done:
        """The lab, up."""
        return self.good("up", str(self.commands.file))

    def changed(self) -> None:
        """The topology with another number of pods."""
        pods = self.dice.randrange(1, 7)
        text = self.commands.file.read_text()
        before = text[text.index("replicas:") :].split(",")[0]
        self.commands.file.write_text(text.replace(before, f"replicas: {pods}"))

    def killed(self, *words: str, within_s: float) -> Done:
        """A verb, killed at a random moment, or through before that."""
        verb = Verb(words)
        verb.runs(self.dice.uniform(0.0, within_s))
        verb.kill()
        return verb.done()

    def disturbed(self, *words: str, victim: Callable[[], int], within_s: float) -> Done:
        """A verb during which another process is killed at a random moment."""
        verb = Verb(words)
        verb.runs(self.dice.uniform(0.0, within_s))
        os.kill(victim(), signal.SIGKILL)
        return verb.done()

    def holder(self) -> int:
        """The lab's first process."""
        holder = Home(self.commands.name).holder()
        assert holder is not None
        return holder.pid


def killed_up(given: Round) -> None:
    """A new lab: it is there whole, or not at all."""
    given.killed("up", str(given.commands.file), within_s=0.4)


def killed_up_with_names(given: Round) -> None:
    """As before, with names on the host."""
    given.killed("up", "--publish", str(given.commands.file), within_s=0.4)


def killed_change(given: Round) -> None:
    """The daemon goes on by itself; the next `up` comes after that."""
    given.up()
    given.changed()
    given.killed("up", str(given.commands.file), within_s=0.2)


def killed_down(given: Round) -> None:
    """Files may be left, of a lab that nobody sees any more."""
    given.up()
    given.killed("down", given.commands.name, within_s=0.1)


def killed_exec(given: Round) -> None:
    given.up()
    given.killed("exec", "-l", given.commands.name, "web-*", "--", "sleep", "60", within_s=0.1)


def killed_matrix(given: Round) -> None:
    """The daemon answers nobody."""
    given.up()
    given.killed("matrix", "-l", given.commands.name, "-p", "http", within_s=0.2)


def daemon_dies(given: Round) -> None:
    """Packets flow on; `up` adopts, and no address has changed."""
    given.up()
    before = addresses(given)
    os.kill(given.commands.daemon(), signal.SIGKILL)
    given.good("exec", "-l", given.commands.name, "web-0", "--", "ping", "-c1", before["client"])
    given.up()
    assert addresses(given) == before


def daemon_dies_in_a_change(given: Round) -> None:
    given.up()
    given.changed()
    victim = given.commands.daemon()
    done = given.disturbed("up", str(given.commands.file), victim=lambda: victim, within_s=0.2)
    assert done.code in (0, 4), done


def daemon_dies_in_a_restart(given: Round) -> None:
    """Secondary ENIs may be without addresses then."""
    given.up()
    victim = given.commands.daemon()
    words = ("restart", "-l", given.commands.name, "daemonset/aws-node")
    done = given.disturbed(*words, victim=lambda: victim, within_s=0.2)
    assert done.code in (0, 4), done


def daemon_dies_in_a_matrix(given: Round) -> None:
    given.up()
    victim = given.commands.daemon()
    words = ("matrix", "-l", given.commands.name, "-p", "tcp")
    done = given.disturbed(*words, victim=lambda: victim, within_s=0.2)
    assert done.code in (0, 4), done


def servers_die(given: Round) -> None:
    """`verify` names each port that nobody serves, and `up` serves it again."""
    given.up()
    os.kill(given.commands.servers(), signal.SIGKILL)
    seen = run("verify", "-l", given.commands.name)
    assert seen.code == 1, seen
    assert "Listener: 0.0.0.0:80/http of web-0" in seen.output, seen


def servers_die_in_a_change(given: Round) -> None:
    given.up()
    given.changed()
    victim = given.commands.servers()
    done = given.disturbed("up", str(given.commands.file), victim=lambda: victim, within_s=0.2)
    assert done.code in (0, 5), done


def holder_dies(given: Round) -> None:
    """The kernel takes the whole lab; whoever asks is told so."""
    given.up()
    words = given.dice.choice(
        [
            ("matrix", "-l", given.commands.name),
            ("up", str(given.commands.file)),
            ("exec", "-l", given.commands.name, "web-0", "--", "sleep", "60"),
            ("down", given.commands.name),
        ]
    )
    victim = given.holder()
    done = given.disturbed(*words, victim=lambda: victim, within_s=0.1)
    assert done.code in (0, 2, 4, 5, 137), done
    assert len(done.errors.splitlines()) <= 1 or done.code == 0, done


def addresses(given: Round) -> dict[str, str]:
    """The pods' addresses."""
    done = given.good("get", "pods", "-l", given.commands.name, "-o", "json")
    return {row["name"]: row["ip"] for row in json.loads(done.output)}


DEATHS = (
    killed_up,
    killed_up_with_names,
    killed_change,
    killed_down,
    killed_exec,
    killed_matrix,
    daemon_dies,
    daemon_dies_in_a_change,
    daemon_dies_in_a_restart,
    daemon_dies_in_a_matrix,
    servers_die,
    servers_die_in_a_change,
    holder_dies,
)


def all_is_well(given: Round) -> None:
    """What a user may do next; each of it is right at once."""
    name, file = given.commands.name, str(given.commands.file)
    match given.dice.randrange(4):
        case 0:
            given.good("ls")
            given.good("down", name)
        case 1:
            given.good("clean")
        case 2:
            given.good("down", name)
            given.good("up", file)
    given.up()
    given.good("verify", "-l", name)
    given.good("matrix", "-l", name, "-p", given.dice.choice(["icmp", "http"]))
    given.good("down", name)


def nothing_more(before: Left) -> None:
    """All is as it was; the kernel may take a moment for what was killed last."""
    deadline = time.monotonic() + GONE_S
    while (now := left()) != before and time.monotonic() < deadline:
        pass
    assert now == before


OWNERS = {  # whose lab it is: the fixture, and what may be killed
    "root": ("on_a_host", DEATHS),
    "user": ("on_a_users_host", [death for death in DEATHS if death != killed_up_with_names]),
}


@pytest.mark.parametrize("owner", OWNERS)
def test_killed_at_random_moments(request: pytest.FixtureRequest, owner: str) -> None:
    """All deaths in turn; the seed is in the message of a failure."""
    fixture, deaths = OWNERS[owner]
    on_a_host: OnAHost = request.getfixturevalue(fixture)
    rounds = request.config.getoption("--rounds")
    seed = request.config.getoption("--seed") or random.randrange(1 << 30)

    def test(commands: Commands) -> None:
        for made in (directory(), *([NAMES] if owner == "root" else [])):
            made.mkdir(mode=0o700)
        before = left()
        for number in range(rounds):
            death = deaths[number % len(deaths)]
            try:
                given = Round(commands, random.Random(seed + number))
                death(given)
                all_is_well(given)
                nothing_more(before)
            except AssertionError as failed:
                failed.add_note(f"{death.__name__}: --seed {seed} round {number}")
                raise

    on_a_host(test)
