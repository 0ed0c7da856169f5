"""The files of /etc that programs in a namespace find, and the machine's own, which stay."""

from pathlib import Path

import pytest

from testbed.kernel.machine import mounts
from testbed.kernel.machine.scratch import in_scratch
from testbed.kernel.programs import resolv
from testbed.kernel.programs.run import run
from tests.waiting import PATIENCE_S

POD = "nameserver 10.0.0.2\nsearch default.svc.cluster.local\n"
NODE = "nameserver 10.0.0.2\n"


def text(directory: Path, netns: str) -> str:
    return resolv.shown(directory, netns)[resolv.RESOLV_CONF].read_text()


def test_every_namespace_has_its_text_and_equal_texts_are_there_once(tmp_path: Path) -> None:
    """3,000 pods, three files."""
    resolv.write(tmp_path, {"web-0": POD, "web-1": POD, "node-1": NODE})

    assert [text(tmp_path, name) for name in ("web-0", "web-1", "node-1")] == [POD, POD, NODE]
    assert (tmp_path / "web-0").samefile(tmp_path / "web-1")


def test_a_later_write_changes_what_differs_and_removes_what_is_gone(tmp_path: Path) -> None:
    resolv.write(tmp_path, {"web-0": POD, "web-1": POD})
    (tmp_path / resolv.NEW).touch()  # of somebody who was killed

    resolv.write(tmp_path, {"web-0": NODE, "node-1": NODE})

    assert text(tmp_path, "web-0") == NODE
    assert text(tmp_path, "node-1") == NODE
    assert not (tmp_path / "web-1").exists()


def test_hosts_are_looked_up_by_dns_whatever_the_machine_does(tmp_path: Path) -> None:
    """systemd-resolved's module asks through a Unix socket, past every network namespace."""
    machine = "passwd: files systemd\nhosts: files resolve [!UNAVAIL=return] dns\nservices: db\n"

    assert resolv._by_dns(machine) == "passwd: files systemd\nhosts: files dns\nservices: db\n"


@pytest.mark.kernel
def test_a_program_finds_these_files_in_the_place_of_the_machines(tmp_path: Path) -> None:
    """And only that program: nobody else's file changes, not even while it runs."""
    place, shown = tmp_path / "place", tmp_path / "shown"
    place.write_text("the machine's\n")
    shown.write_text("the pod's\n")

    read_by_both = ["bash", "-c", f"cat {place}; nsenter -t {_own_id()} -m cat {place}"]
    seen = run(read_by_both, timeout_s=PATIENCE_S, files={str(place): shown})

    assert seen.stdout == "the pod's\nthe machine's\n"
    assert place.read_text() == "the machine's\n"


def _own_id() -> str:
    return Path("/proc/self").readlink().name


@pytest.mark.kernel
def test_a_link_stays_and_what_it_leads_to_is_covered(tmp_path: Path) -> None:
    """/etc/resolv.conf is one to systemd-resolved's file on many machines."""
    link, behind, shown = tmp_path / "link", tmp_path / "behind", tmp_path / "shown"
    behind.write_text("the machine's\n")
    link.symlink_to(behind)
    shown.write_text("the pod's\n")

    seen = run(["cat", str(link)], timeout_s=PATIENCE_S, files={str(link): shown})

    assert seen.stdout == "the pod's\n"
    assert link.is_symlink()


@pytest.mark.kernel
def test_nothing_is_made_where_the_machine_has_nothing(tmp_path: Path) -> None:
    """A mount needs a file below it, and that one would be the machine's."""
    absent, dangling, shown = tmp_path / "absent", tmp_path / "dangling", tmp_path / "shown"
    dangling.symlink_to(tmp_path / "nowhere")
    shown.write_text("the pod's\n")

    files = {str(absent): shown, str(dangling): shown}
    seen = run(["ls", str(tmp_path)], timeout_s=PATIENCE_S, files=files)

    assert seen.stdout.split() == ["dangling", "shown"]


@pytest.mark.kernel
def test_mounts_of_ones_own_end_with_the_process(tmp_path: Path) -> None:
    place, shown = tmp_path / "place", tmp_path / "shown"
    place.write_text("the machine's\n")
    shown.write_text("the pod's\n")

    def inside() -> str:
        mounts.own()
        mounts.cover({str(place): shown})
        return place.read_text()

    assert in_scratch(inside) == "the pod's\n"
    assert place.read_text() == "the machine's\n"
