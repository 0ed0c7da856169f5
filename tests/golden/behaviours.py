"""The last part of docs/fidelity.md: what every fact of the CNI says it imitates."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from testbed.allocations import allocate
from testbed.eks.model import ConnmarkBackend, EksCluster
from testbed.eks.rollout import with_settings
from testbed.lab import Lab
from testbed.load import load
from testbed.net.facts import Chain, Fact, NftChain
from testbed.net.show import show
from testbed.plan import plan

LONGEST_EXAMPLE = 76  # characters
# both eras, and settings that neither topology has
TOPOLOGIES = ("eks.yaml", "eks-slides.yaml")
SETTINGS = {
    "AWS_EXTERNAL_SERVICE_CIDRS": "203.0.113.0/24",
    "AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS": "192.168.0.0/16",
}
NODE, POD = "On a node", "In a pod"

_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+(/\d+)?")
_SECOND_ENI = re.compile(r"\beth[1-9]\b")
_FUNCTION = re.compile(r"^def (test_\w+)\(", re.MULTILINE)

Row = tuple[str, str]  # what is imitated, and an example as its tool prints it


def page(topologies: Path) -> str:
    """A table in Markdown for nodes, and one for pods."""
    rows: dict[str, dict[str, str]] = {NODE: {}, POD: {}}
    for name in TOPOLOGIES:
        lab = load(topologies / name)
        for other in (lab, _with_settings(lab)):
            for place, (why, example) in _rows(other):
                rows[place].setdefault(why, example)
    return "\n".join(_table(place, found) for place, found in rows.items())


def _with_settings(lab: Lab) -> Lab:
    [cluster] = lab.clusters
    assert isinstance(cluster, EksCluster)
    backend: ConnmarkBackend = "nftables" if cluster.profile == "current" else "iptables"
    changed = with_settings(cluster, overrides=SETTINGS, connmark_backend=backend)
    return replace(lab, clusters=(changed,))


def _rows(lab: Lab) -> Iterator[tuple[str, Row]]:
    [cluster] = lab.clusters
    places = {node.name: NODE for node in cluster.nodes} | {pod.netns: POD for pod in cluster.pods}
    names = re.compile("|".join(rf"\b{re.escape(place)}\b" for place in places))
    for fact in sorted(plan(lab, allocate(lab)), key=lambda fact: (fact.ns, show(fact))):
        for why, example in _reasons(fact):
            if fact.ns in places and why and not _is_of_services(why, example):
                general = names.sub("…", _ADDRESS.sub("…", why))
                yield places[fact.ns], (_SECOND_ENI.sub("eth1", general), example)


def _reasons(fact: Fact) -> Iterator[Row]:
    """A chain's reasons are its rules'."""
    if isinstance(fact, Chain | NftChain) and fact.rules:
        yield from ((rule.why, f"{fact.name}: {rule.text}") for rule in fact.rules)
    else:
        yield fact.why, show(fact).splitlines()[0]


def _is_of_services(why: str, example: str) -> bool:
    return "KUBE-" in example or "kube-proxy" in why


def _table(place: str, rows: dict[str, str]) -> str:
    lines = [f"### {place}", "", "| Because | for example |", "|---|---|"]
    lines += [f"| {_cell(why)} | `{_cell(_short(rows[why]))}` |" for why in sorted(rows)]
    return "\n".join([*lines, ""])


def _short(example: str) -> str:
    text = " ".join(example.split())
    return text if len(text) <= LONGEST_EXAMPLE else f"{text[: LONGEST_EXAMPLE - 1]}…"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def named_tests(text: str) -> Iterable[str]:
    """The tests that a page names as proof: `tests/routing/cni/test_invariants.py`."""
    return re.findall(r"`(tests/[\w/.]+\.py)`", text)


def named_functions(text: str) -> set[str]:
    """The tests that a page names by their functions: `test_a_peers_peer_is_no_peer`."""
    return set(re.findall(r"`(test_\w+)`", text))


def functions(directory: Path) -> set[str]:
    """The names of all tests."""
    texts = (path.read_text(encoding="utf-8") for path in directory.rglob("test_*.py"))
    return {name for text in texts for name in _FUNCTION.findall(text)}


def rows(text: str) -> Iterator[list[str]]:
    """The rows of a page's tables, without their heads."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    heads = {i - 1 for i, line in enumerate(lines) if line.startswith("|---")}
    for i, line in enumerate(lines):
        if i not in heads and not line.startswith("|---"):
            yield [cell.strip() for cell in line.strip("|").split(" | ")]
