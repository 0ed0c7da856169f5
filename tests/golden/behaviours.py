"""The last part of docs/fidelity.md: what every fact of the labs says it imitates."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from testbed.allocations import allocate
from testbed.eks.fargate.profiles import on_fargate
from testbed.eks.model import ConnmarkBackend, ControlPlane, EksCluster
from testbed.eks.rollout import with_settings
from testbed.lab import Cluster, Lab, api_servers, load_balancers
from testbed.load import load
from testbed.net.facts import Chain, Fact, NftChain
from testbed.net.show import show
from testbed.plan import plan
from testbed.vpc.fabric.eni import nat_netns
from testbed.vpc.naming import (
    INTERNET,
    internet_gateway,
    private_gateway,
    resolver,
    router,
    transit_gateway,
)
from tests.golden.general import OWN_RULE, Names

LONGEST_EXAMPLE = 76  # characters
# settings that no topology has
SETTINGS = {
    "AWS_EXTERNAL_SERVICE_CIDRS": "203.0.113.0/24",
    "AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS": "192.168.0.0/16",
}
EKS_NODE, EKS_POD = "On a node of EKS", "In a pod of EKS"
KOPS_NODE, KOPS_POD = "On a node of kops", "In a pod of kops"
SERVICES = "Services: kube-proxy and kubelet, on every node"
ROUTER = "In a VPC's router"
OTHERS = "Beside them: what a pod on Fargate and a bare instance have"
PLACES = (
    *(EKS_NODE, EKS_POD, KOPS_NODE, KOPS_POD, SERVICES, ROUTER),
    *("Internet gateway", "NAT gateway", "Load balancers", "API server", "DNS"),
    *("Virtual private gateway and sites", "Transit gateway", "The internet", OTHERS),
)

_FUNCTION = re.compile(r"^def (test_\w+)\(", re.MULTILINE)

Row = tuple[str, str]  # what is imitated, and an example as its tool prints it
Rows = dict[str, dict[str, str]]


def page(topologies: Path) -> str:
    """A table in Markdown for each kind of place."""
    rows: Rows = defaultdict(dict)
    for file in sorted(topologies.glob("*.yaml")):
        lab = load(file)
        for other in {lab.name: lab, "": _with_settings(lab)}.values():
            for place, (why, example) in _rows(other):
                rows[place].setdefault(why, example)
    return "\n".join(_table(place, rows[place]) for place in PLACES)


def _with_settings(lab: Lab) -> Lab:
    """The lab with what none has: settings, a control plane, and the marks by nftables."""
    return replace(lab, clusters=tuple(map(_set, lab.clusters)))


def _set(cluster: Cluster) -> Cluster:
    if not isinstance(cluster, EksCluster):
        return cluster
    backend: ConnmarkBackend = "nftables" if cluster.profile == "current" else "iptables"
    plane = ControlPlane(endpoint_private_access=True)
    cluster = replace(cluster, control_plane=plane)
    return with_settings(cluster, overrides=SETTINGS, connmark_backend=backend)


def _places(lab: Lab) -> dict[str, str]:
    """Which kind of place each namespace is."""
    found = {INTERNET: "The internet"}
    for vpc in lab.vpcs:
        found |= {router(vpc.name): ROUTER, resolver(vpc.name): "DNS"}
        found[internet_gateway(vpc.name)] = "Internet gateway"
        found[private_gateway(vpc.name)] = "Virtual private gateway and sites"
        found |= {nat_netns(one.name): "NAT gateway" for one in vpc.nat_gateways}
    for cluster in lab.clusters:
        node, pod = (EKS_NODE, EKS_POD) if cluster.kind == "eks" else (KOPS_NODE, KOPS_POD)
        alone = on_fargate(cluster) if isinstance(cluster, EksCluster) else {}
        found |= {one.netns: pod for one in cluster.pods if one.netns not in alone}
        found |= {one.name: node for one in cluster.nodes}
    found |= {one.netns: "Load balancers" for _, one in load_balancers(lab)}
    found |= {one.netns: "API server" for _, _, one in api_servers(lab)}
    for site in lab.on_premises:
        found |= dict.fromkeys(
            [site.name, *(host.name for host in site.hosts)], "Virtual private gateway and sites"
        )
    return found | {transit_gateway(one.name): "Transit gateway" for one in lab.transit_gateways}


def _rows(lab: Lab) -> Iterator[tuple[str, Row]]:
    places = _places(lab)
    names = Names(lab, places)
    for fact in sorted(plan(lab, allocate(lab)), key=lambda fact: (fact.ns, show(fact))):
        place = places.get(fact.ns, OTHERS)
        for why, example in _reasons(fact):
            if why and not OWN_RULE.search(why):
                of_services = _is_of_services(why, example)
                yield SERVICES if of_services else place, (names.without(why), example)


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
