"""An ordinary user as root of namespaces, and what a kernel may have against it."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from testbed.errors import MissingFeature
from testbed.kernel.machine import mounts
from testbed.kernel.machine.doctor import Finding, examine
from testbed.kernel.machine.scratch import in_child, in_scratch
from testbed.kernel.namespaces.enter import CLONE_NEWUSER, unshare
from testbed.kernel.rootless import seccomp, userns
from tests import ordinary

pytestmark = pytest.mark.kernel

T = TypeVar("T")

UNSHARE = {"x86_64": 272, "aarch64": 97}  # asm/unistd.h


@pytest.fixture(autouse=True)
def possible() -> None:
    ordinary.skip_unless_possible()


def as_user(work: Callable[[], T], *, before: Callable[[], object] = lambda: None) -> T:
    """What an ordinary user gets, on a machine that root has prepared."""

    def prepared() -> T:
        before()
        ordinary.become()
        return work()

    return in_scratch(lambda: in_child(prepared))


def refusal(before: Callable[[], object]) -> str:
    """What an ordinary user is told who wants namespaces on a prepared machine."""

    def attempt() -> str:
        with pytest.raises(MissingFeature) as refused:
            in_scratch(lambda: None)
        return str(refused.value)

    return as_user(attempt, before=before)


def setting(name: str, value: str, mode: int = 0o644) -> Callable[[], None]:
    """Shows a sysctl of kernels other than this one, in /proc/sys/kernel."""

    def write() -> None:
        mounts.mount("tmpfs", "/proc/sys/kernel", "tmpfs")
        Path("/proc/sys/kernel", name).write_text(f"{value}\n")
        Path("/proc/sys/kernel", name).chmod(mode)

    return write


def without_unshare() -> None:
    """A seccomp filter as a container's."""
    machine = os.uname().machine
    calls = seccomp.Calls(seccomp.MACHINES[machine].audit, (UNSHARE[machine],))
    seccomp.answer(calls, errno.EPERM)


def test_the_user_is_root_in_there_and_owns_the_same_files():
    def work() -> tuple[int, int, str, bool]:
        before = userns.privileged()
        userns.become_root()
        shadow = os.access("/etc/shadow", os.R_OK)
        return os.geteuid(), os.getegid(), Path("/proc/self/uid_map").read_text(), before or shadow

    user, group, uid_map, more = as_user(work)

    assert (user, group) == (0, 0)
    assert uid_map.split() == ["0", str(ordinary.USER), "1"]
    assert not more


def test_root_needs_no_user_namespace():
    def work() -> bool:
        own = Path("/proc/self/ns/user").stat().st_ino
        userns.become_root_where_needed()
        return Path("/proc/self/ns/user").stat().st_ino == own

    assert in_child(work)


def test_run_is_writable_and_what_was_there_is_reached():
    """The machine of the test has a /run without netns, and a user's own directory in it."""

    def prepare() -> None:
        mounts.mount("tmpfs", "/run", "tmpfs", 0, "mode=0755")
        Path("/run/user").mkdir()
        Path("/run/user/file").write_text("there\n")
        Path("/run/xtables.lock").touch(0o600)
        Path("/run/link").symlink_to("user/file")

    def work() -> tuple[set[str], str, bool]:
        def inside() -> tuple[set[str], str, bool]:
            lock = Path("/run/xtables.lock")
            lock.touch()
            names = {entry.name for entry in Path("/run").iterdir()}
            return names, Path("/run/link").read_text(), lock.stat().st_uid == 0

        return in_scratch(inside)

    names, text, own_lock = as_user(work, before=prepare)

    assert names == {".host", "netns", "user", "link", "xtables.lock"}
    assert text == "there\n"
    assert own_lock


def test_a_program_may_seem_to_change_its_user_and_nothing_changes():
    """setgroups, setgid and setuid to users who do not exist there."""
    if os.uname().machine not in seccomp.MACHINES:
        pytest.skip(f"the calls of {os.uname().machine} are not known")
    change = "import os; os.setgroups([7]); os.setgid(7); os.setuid(7); print(os.getuid())"

    def work() -> list[tuple[int, str]]:
        userns.become_root()
        argv = ["python3", "-c", change]
        results = []
        for prepare in (lambda: None, seccomp.pretend_to_change_user):
            prepare()
            done = subprocess.run(argv, capture_output=True, text=True, check=False)
            results.append((done.returncode, done.stdout))
        return results

    (refused, _), (code, user) = as_user(work)

    assert refused, "premise: without it such a program fails"
    assert (code, user) == (0, "0\n")


@pytest.mark.parametrize("name", ["user", "net", "mnt", "pid"])
def test_a_limit_of_0_is_named_with_its_remedy(name):
    """A user namespace has limits of its own below the machine's: the kernel itself refuses."""

    def lower() -> None:
        here = os.getpid()
        ready, done = os.pipe(), os.pipe()
        child = os.fork()
        if child == 0:  # from outside: a whole map is for root of the machine
            os.read(ready[0], 1)
            for which in ("uid_map", "gid_map"):
                Path(f"/proc/{here}/{which}").write_text("0 0 100000")
            os.write(done[1], b"!")
            os._exit(0)
        unshare(CLONE_NEWUSER)
        os.write(ready[1], b"!")
        os.read(done[0], 1)
        os.waitpid(child, 0)
        Path(f"/proc/sys/user/max_{name}_namespaces").write_text("0")

    said = refusal(lower)

    assert f"user.max_{name}_namespaces = 0" in said
    assert f"sudo sysctl user.max_{name}_namespaces=10000" in said


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        pytest.param(
            setting("apparmor_restrict_unprivileged_userns", "1", 0o600),
            ("apparmor_restrict_unprivileged_userns, which only root", "AppArmor profile"),
            id="Ubuntu",
        ),
        pytest.param(
            setting("unprivileged_userns_clone", "0"),
            ("kernel.unprivileged_userns_clone = 0", "unprivileged_userns_clone=1"),
            id="Debian",
        ),
        pytest.param(
            setting("apparmor_restrict_unprivileged_userns", "0"),
            ("seccomp",),
            id="Ubuntu, allowed",
        ),
        pytest.param(lambda: None, ("seccomp", "docker run --security-opt"), id="a container"),
    ],
)
def test_what_is_in_the_way_is_named_with_its_remedy(prepare, words):
    """The refusal is real, the setting is shown: this kernel has none of them."""

    def before() -> None:
        prepare()
        without_unshare()

    said = refusal(before)

    assert "Operation not permitted" in said
    assert all(word in said for word in words), said


def test_hidden_parts_of_proc_are_named():
    """As containers hide them; the kernel then refuses a /proc of one's own."""
    said = refusal(lambda: mounts.mount("/dev/null", "/proc/timer_list", flags=mounts.MS_BIND))

    assert "systempaths=unconfined" in said


def test_the_doctor_says_so_too():
    def before() -> None:
        setting("apparmor_restrict_unprivileged_userns", "1")()
        without_unshare()

    def work() -> Finding:
        [found] = [one for one in examine() if one.feature == "user namespaces"]
        return found

    found = as_user(work, before=before)

    assert (found.status, found.needed) == ("missing", True)
    assert "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0" in found.remedy


BED = """
from pathlib import Path
from testbed.bed import bed
from testbed.load import load
with bed(load(Path("topologies/eks-slides.yaml"))) as lab:
    print(lab.ping("pod-2", "pod-3").received)
"""


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        ([sys.executable, "-c", BED], 0, "1\n"),
        (["sh", "-c", "kill -9 $$"], 128 + 9, ""),
        (["no-such-program"], 127, "no-such-program"),
        ([], 2, "usage"),
    ],
    ids=["a bed", "killed", "not there", "nothing"],
)
def test_a_users_own_tests_run_in_a_user_namespace_as_a_whole(argv, code, said, topologies):
    """`make test` without root and sudo."""
    with ordinary.home() as home:
        done = subprocess.run(
            [sys.executable, "-m", "testbed.kernel.rootless", *argv],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False,
            cwd=topologies.parent, **ordinary.identity(home),
        )  # fmt: skip

    assert done.returncode == code, done.stdout
    assert said in done.stdout
