"""Running programs."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from testbed.errors import KernelError, MissingFeature
from testbed.kernel.namespaces.enter import CLONE_NEWNET, unshare
from testbed.kernel.programs.run import run
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.kernel


def test_a_program_answers_with_its_code_and_what_it_printed() -> None:
    """A non-zero code is an answer: ping's 1 means that nothing came back."""
    result = run(["sh", "-c", "cat; echo oops >&2; exit 3"], stdin="hello\n", timeout_s=PATIENCE_S)

    assert (result.returncode, result.stdout, result.stderr) == (3, "hello\n", "oops\n")


def test_a_program_sees_neither_proxies_nor_the_users_language(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """curl inside a pod would ask the host's proxy, which is not there."""
    monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")

    names = run(["env"], timeout_s=PATIENCE_S).stdout

    assert "proxy" not in names
    assert "LC_ALL=C\n" in names


def test_programs_of_the_administrator_are_found_without_sbin_in_the_path(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An ordinary user's PATH on Debian."""
    monkeypatch.setenv("PATH", "/usr/bin")

    assert run(["nft", "--version"], timeout_s=PATIENCE_S).stdout.startswith("nftables v")


def test_a_missing_program_is_reported_with_its_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The command line ends with 4, and the user knows what to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("testbed.kernel.programs.run.SYSTEM_PATH", str(tmp_path))

    with pytest.raises(
        MissingFeature, match=r"iptables-nft-save .* install the package iptables$"
    ):
        run(["iptables-nft-save"], timeout_s=PATIENCE_S)


def test_a_program_that_does_not_end_is_ended() -> None:
    """Nothing waits for ever on a program."""
    with pytest.raises(KernelError, match=r"^sleep 60: no answer within 0\.05 s$"):
        run(["sleep", "60"], timeout_s=0.05)


def test_a_program_starts_in_the_network_namespace_of_its_thread() -> None:
    """The kernel's work is done by one thread, which goes in and out; the others stay at home."""

    def inside() -> tuple[str, str]:
        unshare(CLONE_NEWNET)  # the thread ends with the test, and the namespace with the thread
        own = str(Path("/proc/thread-self/ns/net").readlink())
        return own, run(["readlink", "/proc/self/ns/net"], timeout_s=PATIENCE_S).stdout.strip()

    with ThreadPoolExecutor(1) as thread:
        own, programs_own = thread.submit(inside).result()

    assert programs_own == own
    assert programs_own != str(Path("/proc/self/ns/net").readlink())
