"""Real nodes, as users pasted them, against what `testbed render vpc-cni` prints for theirs."""

import json
import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from testbed.eks.render import Rendered, render
from tests.eks.real_nodes.dump import Dump, read, wired
from tests.eks.real_nodes.release import as_printed

FILES = sorted((Path(__file__).parent / "dumps").glob("*.txt"))
DUMPS = [read(file) for file in FILES]
EACH = pytest.mark.parametrize("dump", DUMPS, ids=[file.stem for file in FILES])

OF_THE_CNI = ("512:", "1024:", "1535:", "1536:", "32765:")
OF_OTHERS = re.compile(r"KUBE-|pod-id-link0|^169\.254\.169\.254 |^(?!default).* proto dhcp ")
DHCP = re.compile(r" proto dhcp src \S+| metric \d+")
VETH = re.compile(r"\beni[0-9a-f]{11}\b")


def tidy(lines: Iterable[str], links: list[str]) -> list[str]:
    """The CNI's lines, ENIs as `ethN`, any veth as `eni`, without what only DHCP adds."""
    told = []
    for line in lines:
        if OF_OTHERS.search(line):
            continue
        for index, link in enumerate(links):
            line = re.sub(rf"\b{link}\b", f"eth{index}", line)
        told.append(" ".join(VETH.sub("eni", DHCP.sub("", line)).split()))
    return told


def rules(lines: Iterable[str], grep: str) -> list[str]:
    """`ip rule | grep GREP`, the CNI's; in a priority they come in any order."""
    return sorted(line for line in lines if line.startswith(OF_THE_CNI) and grep in line)


def chains(lines: Iterable[str], only: str) -> dict[str, list[str]]:
    """`iptables -S` by chain: rules in order, chains in any."""
    found: dict[str, list[str]] = {}
    for line in lines:
        match line.split(maxsplit=2):
            case ["-N", name]:
                found.setdefault(name, [])
            case ["-A", name, rule]:
                found.setdefault(name, []).append(rule)
    return {name: told for name, told in found.items() if only in ("", name)}


def saved(rendered: Rendered, table: str) -> list[str]:
    """A table of `iptables-save`, as `iptables -S` prints it."""
    block = rendered.iptables.split(f"*{table}\n")[1].split("COMMIT")[0]
    return [re.sub(r"^:(\S+) .*", r"-N \1", line) for line in block.splitlines()]


def netfilter(
    theirs: list[str], ours: list[str], only: str
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Both tables by chain; a log, without `-N`, tells of some chains only."""
    of_theirs, of_ours = chains(theirs, only), chains(ours, only)
    if not any(line.startswith("-N") for line in theirs):
        of_ours = {name: of_ours.get(name, []) for name in of_theirs}
    return of_theirs, of_ours


def compared(
    dump: Dump, rendered: Rendered, command: str, printed: list[str]
) -> tuple[object, object]:
    """What the user's command printed and what ours would, in a form that can be equal."""

    def ours(lines: Iterable[str]) -> list[str]:
        return tidy(as_printed(lines, dump.release), [])

    theirs = tidy(printed, dump.links)
    match command.split():
        case ["ip", "rule", *pipe]:
            grep = pipe[-1] if pipe else ""
            return rules(theirs, grep), rules(ours(rendered.rules), grep)
        case ["ip", "route", *_, table]:
            return theirs, ours(rendered.tables[table])
        case ["iptables", *_, chain] if chain.startswith("AWS-"):
            return netfilter(theirs, ours(saved(rendered, "nat")), chain)
        case ["iptables", _, table, _]:
            return netfilter(theirs, ours(saved(rendered, table)), "")
        case ["ip", "netns", "exec", _, "ip", "route"]:
            assert rendered.pod
            return theirs, list(rendered.pod.routes)
        case ["cat", _]:
            return json.loads("".join(printed)), rendered.conflist
    raise AssertionError(command)


@EACH
def test_a_real_node_printed_what_we_print(dump: Dump) -> None:
    ours = render(wired(dump))

    for command, printed in dump.printed.items():
        theirs, of_ours = compared(dump, ours, command, printed)
        assert theirs == of_ours, command


@EACH
def test_any_line_of_the_cni_that_differs_is_noticed(dump: Dump) -> None:
    ours = render(wired(dump))

    for command, printed in dump.printed.items():
        own = [
            line for line in tidy(printed, []) if line.startswith((*OF_THE_CNI, "-A", "default"))
        ]
        for line in own:
            changed = [f"{one} but" if one == line else one for one in tidy(printed, [])]
            theirs, of_ours = compared(dump, ours, command, changed)
            assert theirs != of_ours, line


def test_the_dumps_are_of_many_releases() -> None:
    releases = {dump.release for dump in DUMPS}

    assert len(DUMPS) >= 6
    assert len(releases) >= 6
    assert (1, 5) in releases
