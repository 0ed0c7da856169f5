"""Who asks a lab is answered by a worker; it comes when it is needed, and takes nothing along."""

import json

import pytest

from testbed.daemon.process.home import Home
from testbed.kernel.machine.processes import forks
from tests.cli.conftest import Commands
from tests.waiting import wait_until

pytestmark = pytest.mark.kernel


@pytest.mark.slow  # it waits as long as a worker does
def test_a_worker_whom_nobody_asks_ends_and_the_next_one_knows_the_same(
    commands: Commands,
) -> None:
    commands.up()
    daemon, servers = commands.daemon(), commands.servers()
    told, facts = commands.on("get", "pods", "-o", "json"), commands.on("verify")

    wait_until(lambda: not [*forks(daemon)])

    assert commands.on("get", "pods", "-o", "json") == told
    assert commands.on("verify") == facts
    commands.on("explain", "web-0", "client", "--predict")
    commands.on("matrix", "-p", "http")
    assert (commands.daemon(), commands.servers()) == (daemon, servers)


def test_who_only_looks_whether_somebody_answers_is_not_in_the_log(commands: Commands) -> None:
    """The log's last line is told as the daemon's last words when it is killed."""
    commands.up()
    assert commands.running()
    commands.on("get", "pods")

    assert Home(commands.name).log.read_text() == ""


def test_a_killed_worker_loses_nothing(commands: Commands) -> None:
    """Ports are served on, and what is changed afterwards is changed from what was applied."""
    commands.up()
    servers = commands.servers()
    told = json.loads(commands.on("get", "pods", "-o", "json"))

    daemon = commands.kill_worker()

    page = ["curl", "-s", "-m60", f"http://{told[-1]['ip']}/"]
    assert json.loads(commands.on("exec", "web-0", "--", *page))["pod"] == told[-1]["name"]
    commands.on("verify")
    text = commands.file.read_text()
    commands.file.write_text(text.replace("replicas: 2", "replicas: 3"))
    commands.up()
    pods = json.loads(commands.on("get", "pods", "-o", "json"))
    assert [pod for pod in pods if pod["name"] != "web-2"] == told
    commands.on("matrix", "-p", "http")
    assert (commands.daemon(), commands.servers()) == (daemon, servers)
