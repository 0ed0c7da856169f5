"""A pod, kubectl's way, and then what the kernels have for it."""

from collections.abc import Iterator
from itertools import groupby

import click

from testbed.cli.look.describe.words import field, labels, reasoned
from testbed.daemon.process.protocol import Json


def pod_lines(pod: Json) -> Iterator[str]:
    """Its place and address, the Services it is behind, its routes and its node's rules for it."""
    for title, value in (
        ("Name", pod["name"]),
        ("Namespace", pod["namespace"]),
        ("Cluster", pod["cluster"]),
        ("Node", pod["node"] or "<none>"),
        ("Labels", labels(pod["labels"])),
        ("Status", pod["status"]),
        ("Reason", pod["reason"]),
        ("IP", pod["ip"]),
        ("Network", "its node's (hostNetwork)" if pod["hostNetwork"] else ""),
        ("Interface", _interface(pod["interface"])),
        ("ENI", _eni(pod["eni"])),
        ("Ports", ", ".join(pod["ports"])),
        ("Services", ", ".join(pod["services"]) or "<none>"),
    ):
        if value:
            yield field(title, value)
    for (ns, kind), facts in groupby(pod["kernel"], key=lambda fact: (fact["ns"], fact["kind"])):
        yield ""
        yield click.style(f"{ns}: {kind.lower()}s", bold=True)
        for fact in facts:
            yield from reasoned(fact)


def _interface(veth: Json | None) -> str:
    if veth is None:
        return ""
    return f"{veth['name']}, whose other end is {veth['peer']}; {veth['mac']}, MTU {veth['mtu']}"


def _eni(eni: Json | None) -> str:
    return f"{eni['device']} of the node: {eni['id']} in {eni['subnet']}" if eni else ""
