"""The real programs of a running lab, and what its places make of names."""

import json
import os
import signal
from pathlib import Path

import pytest

from testbed.daemon.process.home import Home
from tests.cli.conftest import Commands
from tests.waiting import wait_until

pytestmark = pytest.mark.kernel

NAME = "web.default.svc.cluster.local"
PUBLIC = "    routeTables: { main: { 0.0.0.0/0: internet-gateway } }\nclusters:"


@pytest.fixture
def balanced(commands: Commands) -> Commands:
    """Commands on a lab whose Service has a load balancer in each of two zones."""
    text = commands.file.read_text().replace("clusters:", PUBLIC)
    commands.file.write_text(text.replace("ports: [80] ", "ports: [80], type: LoadBalancer "))
    return commands


def programs(lab: Commands) -> dict[str, int]:
    """The lab's programs that run on this machine: `dns-main/dnsmasq` and its process."""
    place = str(Home(lab.name).programs)
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_text().split("\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        for word in words:
            if place in word:
                found["/".join(word.partition(place)[2].split("/")[1:3])] = int(entry.name)
    return found


def test_each_place_has_its_own_resolv_conf(balanced: Commands) -> None:
    """And the machine's is what it was."""
    before = Path("/etc/resolv.conf").read_text()
    balanced.up()

    def seen(place: str) -> str:
        return balanced.on("exec", place, "--", "cat", "/etc/resolv.conf")

    assert seen("web-0").startswith("nameserver 10.0.0.2\nsearch default.svc.cluster.local svc.")
    assert seen("node-1") == "nameserver 10.0.0.2\nsearch us-west-2.compute.internal\n"
    assert seen("internet") == "nameserver 127.0.0.53\n"
    assert seen("vpc-main") == before, "a router asks nobody"
    assert Path("/etc/resolv.conf").read_text() == before


def test_names_are_found_by_exec_in_shells_and_at_mininets_prompt(balanced: Commands) -> None:
    balanced.up()

    address = balanced.on("exec", "client", "--", "getent", "hosts", NAME).split()[0]

    assert address in balanced.on("shell", "client", stdin=f"getent hosts {NAME}\n")
    command = "client curl -sS --max-time 5 http://web/"
    assert '"pod": "web-' in balanced.on("mininet", "-c", command)
    popen = "py client.popen('getent hosts web').communicate()[0].decode()"
    assert address in balanced.on("mininet", "-c", popen)


def test_from_the_internet_a_name_is_a_public_address(balanced: Commands) -> None:
    """Nobody outside has a way to the private one."""
    balanced.up()

    way = json.loads(balanced.on("path", "internet", "elb-web-us-west-2a", "-o", "json"))

    assert [hop["ns"] for hop in way["hops"]][:3] == ["internet", "igw-main", "vpc-main"]


def test_down_leaves_no_program(balanced: Commands) -> None:
    balanced.up()
    running = programs(balanced)
    assert set(running) == {
        "dns-main/dnsmasq",
        "internet/dnsmasq",
        "elb-web-us-west-2a/haproxy",
        "elb-web-us-west-2b/haproxy",
    }

    balanced.down()

    assert programs(balanced) == {}
    assert not any(Path(f"/proc/{pid}").exists() for pid in running.values())


def test_programs_go_with_what_they_are_for_and_the_others_stay(balanced: Commands) -> None:
    """A namespace ends when its last process does."""
    balanced.up()
    before = programs(balanced)

    text = balanced.file.read_text()
    balanced.file.write_text(text.replace("type: LoadBalancer", "type: NodePort"))
    balanced.up()

    assert set(programs(balanced)) == {"dns-main/dnsmasq", "internet/dnsmasq"}
    assert "elb-" not in balanced.on("shell", stdin="ip netns list\n")
    balanced.on("verify")
    balanced.file.write_text(text)
    balanced.up()
    assert set(programs(balanced)) == set(before)


def test_a_dead_daemon_takes_them_along_and_up_runs_them_again(balanced: Commands) -> None:
    """They would serve for a lab that nobody keeps."""
    balanced.up()
    before = programs(balanced)

    balanced.kill_daemon()
    for pid in before.values():
        _wait_for_end(pid)
    balanced.up()

    assert set(programs(balanced)) == set(before)
    assert not set(programs(balanced).values()) & set(before.values())
    balanced.on("exec", "web-0", "--", "getent", "hosts", NAME)


def test_verify_names_a_dead_program_and_up_runs_it_again(balanced: Commands) -> None:
    balanced.up()
    haproxy = programs(balanced)["elb-web-us-west-2a/haproxy"]
    assert "node-1 InService" in balanced.on("describe", "service", "web")

    os.kill(haproxy, signal.SIGKILL)
    _wait_for_end(haproxy)

    said = balanced.on("verify", code=1)
    assert "missing  elb-web-us-west-2a  Program: haproxy\n" in said
    assert "its haproxy does not answer" in balanced.on("describe", "service", "web")
    balanced.up()
    balanced.on("verify")


def test_a_zone_whose_nodes_are_dead_leaves_the_load_balancers_name(balanced: Commands) -> None:
    """By itself, and it comes back when the nodes do."""
    quick = "healthCheck: { interval: 500ms, timeout: 400ms, unhealthyThreshold: 2 }"
    balancer = "type: LoadBalancer"
    text = balanced.file.read_text().replace(balancer, f"{balancer}, {quick}")
    balanced.file.write_text(text)
    balanced.up()
    [word] = [
        word for word in balanced.on("get", "services").split() if word.endswith(".amazonaws.com")
    ]
    wait_until(lambda: len(_addresses(balanced, word)) == 2)
    both = _addresses(balanced, word)

    balanced.on("exec", "node-2", "--", "iptables-nft", "-t", "nat", "-F", "KUBE-NODEPORTS")
    wait_until(lambda: len(_addresses(balanced, word)) == 1)
    assert "Program" not in balanced.on("verify", code=1), "the DNS servers run as they should"
    balanced.up()

    wait_until(lambda: _addresses(balanced, word) == both)
    balanced.on("verify")


def test_flows_leave_a_network_load_balancers_unhealthy_target(balanced: Commands) -> None:
    """The daemon follows what its health checks say, and `verify` wants what it follows."""
    prefix = "service.beta.kubernetes.io/aws-load-balancer"
    wanted = (
        "type: LoadBalancer, externalTrafficPolicy: Local,"
        " healthCheck: { interval: 500ms, timeout: 400ms, unhealthyThreshold: 1 },"
        f" annotations: {{ {prefix}-type: nlb,"
        f' {prefix}-cross-zone-load-balancing-enabled: "true" }}'
    )
    text = balanced.file.read_text().replace("type: LoadBalancer", wanted)
    balanced.file.write_text(text)
    balanced.up()

    def chosen() -> str:
        place = "nlb-web-us-west-2b"
        listed = balanced.on("exec", place, "--", "nft", "list", "chain", "ip", "nlb", "listeners")
        return listed.partition("vmap ")[2].partition("}")[0]

    wait_until(lambda: chosen() == "{ 0 : goto tcp-80/node-1 ")
    balanced.on("verify")
    said = balanced.on("describe", "service", "web")
    assert "tcp-80 node-1 healthy,tcp-80 node-2 unhealthy" in said


def _addresses(lab: Commands, name: str) -> set[str]:
    """What the internet is told; nothing while the DNS server starts anew with other names."""
    asked = f"getent ahostsv4 {name} || test $? = 2"
    found = lab.on("exec", "internet", "--", "sh", "-c", asked)
    return {line.split()[0] for line in found.splitlines()}


def _wait_for_end(pid: int) -> None:
    """Wait until a process is gone, or nothing but its exit code is left."""
    wait_until(lambda: _has_ended(Path(f"/proc/{pid}/stat")))


def _has_ended(stat: Path) -> bool:
    try:
        return ") Z " in stat.read_text()
    except (FileNotFoundError, ProcessLookupError):  # the latter if it goes between open and read
        return True
