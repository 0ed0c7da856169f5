"""ipamD's checkpoint: which address is whose, written at each change and read at its next start.

    {"version":"vpc-cni-ipam/1","allocations":[{"networkName":"aws-cni","containerID":"5b2e…",
     "ifName":"eth0","ipv4":"10.10.0.102","allocationTimestamp":1764378000000000000,
     "metadata":{"k8sPodNamespace":"default","k8sPodName":"pod-2","interfacesCount":1}}]}

Cooldowns are not in it.  Source: amazon-vpc-cni-k8s v1.23.1, pkg/ipamd/datastore/data_store.go,
ReadBackingStore; the file is read since v1.12.
"""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from testbed.errors import CheckFailed
from testbed.net import names

VERSION = "vpc-cni-ipam/1"
NETWORK, LINK = "aws-cni", "eth0"
SUFFIX_LENGTH = 11  # of a host veth's name, whatever its prefix
FAILED = "failed ipam state recovery"
NOT_ONE = (ValueError, TypeError, AttributeError, KeyError, OverflowError, RecursionError)


@dataclass(frozen=True)
class Entry:
    """An address, the sandbox that has it, and when it was given: nanoseconds since 1970.

    namespace, name: the pod's; empty in entries of old releases.
    """

    container: str
    ip: IPv4Address
    at_ns: int
    namespace: str = ""
    name: str = ""
    network: str = NETWORK
    link: str = LINK

    @property
    def suffix(self) -> str:
        """How the name of the pod's host veth ends."""
        return names.digest(self.namespace, self.name, length=SUFFIX_LENGTH)


@dataclass(frozen=True)
class Recovery:
    """What became of a checkpoint's entries.

    stale: the pod's veth is gone, so its rules are deleted; unknown: no ENI has the address.
    """

    kept: tuple[Entry, ...] = ()
    stale: tuple[Entry, ...] = ()
    unknown: tuple[Entry, ...] = ()


def written(entries: Iterable[Entry]) -> str:
    """The file's text, as Go's encoder leaves it."""
    rows = [_row(entry) for entry in entries]
    return json.dumps({"version": VERSION, "allocations": rows}, separators=(",", ":")) + "\n"


def _row(entry: Entry) -> dict[str, Any]:
    metadata = {"k8sPodNamespace": entry.namespace, "k8sPodName": entry.name}
    told = {key: text for key, text in metadata.items() if text}
    return {
        "networkName": entry.network,
        "containerID": entry.container,
        "ifName": entry.link,
        "ipv4": str(entry.ip),
        "allocationTimestamp": entry.at_ns,
        "metadata": {**told, "interfacesCount": 1} if told else {},
    }


def read(text: str) -> tuple[Entry, ...]:
    """The file's entries.

    Raises CheckFailed with ipamD's words: it does not start with such a file.
    """
    try:
        data = json.loads(text)
        version = data.get("version", "")
        if version != VERSION:
            raise CheckFailed(f"{FAILED} due to unexpected checkpointVersion: {version}/{VERSION}")
        return tuple(_entry(row) for row in data.get("allocations") or ())
    except NOT_ONE as error:
        raise CheckFailed(f"{FAILED} from backing store: {error}") from error


def _entry(row: dict[str, Any]) -> Entry:
    metadata = row.get("metadata") or {}
    return Entry(
        str(row.get("containerID", "")),
        IPv4Address(row["ipv4"]),
        int(row.get("allocationTimestamp", 0)),
        str(metadata.get("k8sPodNamespace", "")),
        str(metadata.get("k8sPodName", "")),
        str(row.get("networkName", "")),
        str(row.get("ifName", "")),
    )


def recovered(
    entries: Iterable[Entry], cidrs: Collection[IPv4Network], links: Collection[str]
) -> Recovery:
    """What ipamD makes of its checkpoint.

    cidrs: its ENIs' prefixes and addresses.  links: the names of all links of the node.
    Raises CheckFailed: an address is there twice.
    """
    kept: list[Entry] = []
    stale: list[Entry] = []
    unknown: list[Entry] = []
    seen: set[IPv4Address] = set()
    for entry in entries:
        if entry.namespace and entry.name and not _has_link(entry, links):
            stale.append(entry)
        elif not any(entry.ip in cidr for cidr in cidrs):
            unknown.append(entry)
        elif entry.ip in seen:
            raise CheckFailed("datastore: IP already in data store")
        else:
            seen.add(entry.ip)
            kept.append(entry)
    return Recovery(tuple(kept), tuple(stale), tuple(unknown))


def _has_link(entry: Entry, links: Iterable[str]) -> bool:
    return any(link.endswith(entry.suffix) for link in links)
