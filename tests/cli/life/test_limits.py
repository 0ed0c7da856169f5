"""A full disk, no descriptor, namespace or memory left: one clear error, and nothing half-made."""

import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from testbed.daemon.process.holder import CLIENTS
from testbed.daemon.process.home import ROOT_DIRECTORY, Home
from testbed.kernel.machine import mounts
from tests.cli.conftest import Commands, OnAHost
from tests.cli.forked import run
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.kernel

MANY = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: many}
spec:
  replicas: 4
  selector: {matchLabels: {app: many}}
  template:
    metadata: {labels: {app: many}}
    spec: {containers: [{name: many, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: many}
spec: {type: LoadBalancer, selector: {app: many}, ports: [{port: 80}]}
"""


def space(limit: str) -> None:
    """The labs' directory on a file system of its own, so large: `size=8k`, `nr_inodes=4`."""
    ROOT_DIRECTORY.mkdir()
    mounts.mount("tmpfs", str(ROOT_DIRECTORY), "tmpfs", 0, f"{limit},mode=0700")


def processes() -> set[str]:
    """All processes of this host; those that are ending do not count."""
    return {
        entry.name
        for entry in Path("/proc").iterdir()
        if entry.name.isdecimal() and (entry / "cmdline").read_text(errors="replace")
    }


def labs_files() -> list[Path]:
    """What is in the labs' directory."""
    return [*ROOT_DIRECTORY.iterdir()] if ROOT_DIRECTORY.exists() else []


def assert_refused(commands: Commands, done: subprocess.CompletedProcess[str], word: str) -> None:
    """One line that names the limit; exit code 4; no file, no process."""
    assert done.returncode == 4, done.stderr
    assert re.fullmatch(rf"error: .*{word}.*\n", done.stderr), done.stderr
    assert labs_files() == []
    assert not commands.running()


def up_within(commands: Commands, *limits: str) -> subprocess.CompletedProcess[str]:
    """`up` with prlimit's limits."""
    argv = ["prlimit", *limits, sys.executable, "-m", "testbed", "up", str(commands.file)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


@pytest.mark.parametrize("limit", ["size=8k", "nr_inodes=4", "nr_inodes=6", "nr_inodes=8"])
def test_a_full_disk_is_named_and_nothing_stays(on_a_host: OnAHost, limit: str) -> None:
    """Wherever it fills: records, the log, the lab's own files."""

    def test(commands: Commands) -> None:
        space(limit)

        assert_refused(commands, up_within(commands), "no space is left")

    on_a_host(test)


def test_a_disk_that_fills_later_keeps_the_lab_as_it_was(on_a_host: OnAHost) -> None:
    """A change that cannot be written down is no change; and `down` needs no space."""

    def test(commands: Commands) -> None:
        space("size=256k")
        commands.up()
        before = Home(commands.name).applied.read_text()
        filler = ROOT_DIRECTORY / "filler"
        with pytest.raises(OSError, match="No space"):
            filler.write_bytes(bytes(1 << 20))
        text = commands.file.read_text()
        commands.file.write_text(text.replace("replicas: 2", "replicas: 4"))

        done = up_within(commands)

        assert done.returncode == 4
        assert re.search(rf"{Home(commands.name).path}/\S+\.json: no space is left", done.stderr)
        assert Home(commands.name).applied.read_text() == before
        commands.on("verify")
        commands.on("matrix", "-p", "http")
        pods = json.loads(commands.on("get", "pods", "-o", "json"))
        assert [pod["name"] for pod in pods] == ["web-0", "web-1", "client"]
        commands.down()
        assert labs_files() == [filler]

    on_a_host(test)


def test_a_disk_that_fills_in_the_middle_of_a_change_has_room_to_put_the_lab_back(
    on_a_host: OnAHost, topologies: Path
) -> None:
    """Some files are larger by then, and nothing is left for what was in them before."""

    def test(commands: Commands) -> None:
        space("size=512k")
        assert run("up", str(topologies / "eks.yaml")).code == 0
        applied, filler = Home("eks").applied, ROOT_DIRECTORY / "filler"
        before = applied.read_text()
        manifest = commands.file.with_name("many.yaml")
        manifest.write_text(MANY)
        for pages in (1, 2, 3):
            with pytest.raises(OSError, match="No space"):
                filler.write_bytes(bytes(1 << 20))
            os.truncate(filler, filler.stat().st_size - pages * os.sysconf("SC_PAGESIZE"))

            done = run("apply", "-f", str(manifest))

            assert (done.code, applied.read_text()) == (4, before), (pages, done)
            assert len(done.errors.splitlines()) == 1
            assert run("verify").code == 0

    on_a_host(test)


def test_too_few_descriptors_are_named(on_a_host: OnAHost) -> None:
    def test(commands: Commands) -> None:
        done = up_within(commands, "--nofile=24:24")

        assert_refused(commands, done, "ulimit -Hn")

    on_a_host(test)


@pytest.mark.parametrize("descriptors", [5, 6, 8])
def test_hardly_any_descriptor_is_one_line_all_the_same(
    on_a_host: OnAHost, descriptors: int
) -> None:
    """They run out before the lab's first process can tell of it, or is there."""

    def test(commands: Commands) -> None:
        done = up_within(commands, f"--nofile={descriptors}:{descriptors}")

        assert_refused(commands, done, "ulimit -Hn")

    on_a_host(test)


@pytest.mark.parametrize("descriptors", [14, 15, 16, 17])
def test_few_descriptors_let_nobody_wait(on_a_host: OnAHost, descriptors: int) -> None:
    """They run out in a worker: before it lets anybody in, just then, or soon after."""

    def test(commands: Commands) -> None:
        done = up_within(commands, f"--nofile={descriptors}:{descriptors}")

        assert_refused(commands, done, "")

    on_a_host(test)


def test_a_lab_that_has_taken_all_descriptors_can_still_be_asked(commands: Commands) -> None:
    """Its first process lets a new daemon in, refuses more namespaces, and never ends of it."""
    commands.up()
    holder = Home(commands.name).holder()
    assert holder is not None
    used = max(int(entry.name) for entry in Path(f"/proc/{holder.pid}/fd").iterdir()) + 1
    resource.prlimit(holder.pid, resource.RLIMIT_NOFILE, (used, used + CLIENTS))
    commands.kill_daemon()

    commands.up()
    commands.on("matrix", "-p", "http")
    text = commands.file.read_text()
    commands.file.write_text(text.replace("replicas: 2", "replicas: 9"))
    assert "Too many open files" in commands.run("up", str(commands.file), code=5)
    commands.file.write_text(text)
    commands.on("verify")


def test_too_small_files_are_named(on_a_host: OnAHost) -> None:
    def test(commands: Commands) -> None:
        done = up_within(commands, "--fsize=2048")

        assert_refused(commands, done, "ulimit -f")

    on_a_host(test)


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_without_a_standard_stream_all_is_as_with_it(commands: Commands, closed: str) -> None:
    """The first file opened would be in its place otherwise: a socket, a namespace."""
    for words in (["up", str(commands.file)], ["verify", "-l", commands.name]):
        argv = ["sh", "-c", f'"$@" {closed}', "sh", sys.executable, "-m", "testbed", *words]
        subprocess.run(argv, timeout=PATIENCE_S, check=True)

    commands.on("matrix")


@pytest.mark.parametrize("mib", [40, 52, 58])
def test_too_little_memory_ends_no_worse(on_a_host: OnAHost, mib: int) -> None:
    """Where it runs out is chance; what is left, and that one line says so, is not."""

    def test(commands: Commands) -> None:
        before = processes()

        done = up_within(commands, f"--as={mib << 20}")

        assert len(done.stderr.splitlines()) == 1, done.stderr
        commands.down()  # it may have been enough; or not even for sweeping
        assert labs_files() == []
        assert processes() <= before

    on_a_host(test)


def test_too_few_namespaces_are_named(on_a_host: OnAHost) -> None:
    """The limit of a user namespace of our own: the machine's stays as it is."""

    def test(commands: Commands) -> None:
        argv = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", FEW_NAMESPACES]
        try:
            done = subprocess.run(
                [*argv, sys.executable, str(commands.file)],
                capture_output=True,
                text=True,
                timeout=PATIENCE_S,
                check=True,
            )
        except subprocess.CalledProcessError as refused:
            if "unshare:" in refused.stderr:
                pytest.skip(f"no user namespaces here: {refused.stderr.strip()}")
            raise

        assert re.fullmatch(r"error: .*user\.max_.*_namespaces\n4\n\n", done.stdout)

    on_a_host(test)


FEW_NAMESPACES = """\
mount -t tmpfs tmpfs /run && mkdir /run/testbed
echo 5 >/proc/sys/user/max_net_namespaces
$0 -m testbed up $1 2>&1; echo $?; ls /run/testbed; echo
"""


def test_names_that_are_taken_inside_are_named(on_a_host: OnAHost) -> None:
    """`ip netns add` and `del` in the lab's shell: told, put back, healed."""

    def test(commands: Commands) -> None:
        commands.up()
        text = commands.file.read_text()
        commands.on("shell", stdin="ip netns add web-2; ip netns del web-0\n")
        commands.file.write_text(text.replace("replicas: 2", "replicas: 3"))

        assert "web-2" in commands.run("up", str(commands.file), code=5)
        commands.on("verify")
        commands.on("shell", stdin="ip netns del web-2\n")
        commands.up()
        commands.on("verify")
        commands.on("matrix")

    on_a_host(test)
