"""A node, kubectl's way, with its network interfaces and how full its kernel is."""

from collections.abc import Iterator

from testbed.cli.look.describe.words import field, listed
from testbed.daemon.process.protocol import Json


def node_lines(node: Json) -> Iterator[str]:
    """Its labels and addresses, its ENIs and its pods."""
    yield field("Name", node["name"])
    yield field("Cluster", node["cluster"])
    given = [f"{key}={value}" for key, value in node["labels"].items()] or ["<none>"]
    for title, label in zip(["Labels", *[""] * len(given)], given, strict=False):
        yield field(title, label) if title else f"{'':12}{label}"
    for title, value in (
        ("Taints", ", ".join(node["taints"]) or "<none>"),
        ("Status", node["status"]),
        ("Instance", f"{node['type']} in {node['subnet']}, {node['zone']}"),
        ("InternalIP", node["ip"]),
        ("ExternalIP", node["publicIp"]),
        ("PodCIDR", node["podCidr"]),
        ("Conntrack", _conntrack(node["conntrack"])),
    ):
        if value:
            yield field(title, value)
    yield from listed("ENIs", node["enis"])
    yield from listed(f"Pods ({node['pods']})", node["podList"])


def _conntrack(table: Json) -> str:
    """What a newcomer looks for when connections fail; `get conntrack` counts more."""
    most = f" of {table['max']}" if table["max"] else ""
    return f"{table['entries']}{most} connections, {table['drop']} dropped for want of room"
