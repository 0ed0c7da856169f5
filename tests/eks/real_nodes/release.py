"""How releases between v1.6 and v1.22 print what v1.23.1 writes: each difference, and its source.

All of pkg/networkutils/network.go (amazon-vpc-cni-k8s) at the tags before and after.
"""

import re
from collections.abc import Callable, Iterable

Release = tuple[int, ...]

RETURNS = re.compile(r'^-A (AWS-\w+-CHAIN)-0 -d (\S+) (-m comment --comment ".*") -j RETURN$')
LAST = re.compile(r"^-A (AWS-\w+-CHAIN)-0 (.*)$")


def _two_kinds_of_range(lines: list[str]) -> list[str]:
    """v1.23.0 dropped `, VPC CIDR`."""
    said = '"AWS CONNMARK CHAIN'
    return [line.replace(f'{said}"', f'{said}, VPC CIDR"') for line in lines]


def _no_rule_for_eni_addresses(lines: list[str]) -> list[str]:
    """v1.20.0: rule 32765."""
    return [line for line in lines if not line.startswith("32765:")]


def _chain_of_chains(lines: list[str]) -> list[str]:
    """v1.16.2 (#2697): one chain of RETURNs; before it a chain for each range, the first first."""
    exempt = [found for line in lines if (found := RETURNS.match(line))]
    sizes = {name: sum(found[1] == name for found in exempt) for name in {f[1] for f in exempt}}
    seen = dict(sizes)
    chained: list[str] = []
    for line in lines:
        if found := RETURNS.match(line):
            name, cidr, said = found.groups()
            seen[name] -= 1
            number = seen[name]
            chained.append(f"-A {name}-{number} ! -d {cidr} {said} -j {name}-{number + 1}")
        elif (found := LAST.match(line)) and found[1] in sizes:
            chained.append(f"-A {found[1]}-{sizes[found[1]]} {found[2]}")
        else:
            chained.append(line)
    made = (f"-N {name}-{number + 1}" for name in sizes for number in range(sizes[name]))
    return [*chained, *made]


def _new_connections_only(lines: list[str]) -> list[str]:
    """v1.12.1: every packet of a pod goes through the chain, not only a connection's first."""
    said = '"AWS, outbound connections"'
    return [line.replace(said, f"{said} -m state --state NEW") for line in lines]


BEFORE: dict[Release, Callable[[list[str]], list[str]]] = {
    (1, 23): _two_kinds_of_range,
    (1, 20): _no_rule_for_eni_addresses,
    (1, 16, 2): _chain_of_chains,
    (1, 12, 1): _new_connections_only,
}


def as_printed(lines: Iterable[str], release: Release) -> list[str]:
    """What v1.23.1 writes, as this release writes it; v1.5 is a profile of its own."""
    told = list(lines)
    for since, older in BEFORE.items():
        if (1, 6) <= release < since:
            told = older(told)
    return told
