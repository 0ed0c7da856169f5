"""ipamD's requests to EC2 in a few words each, and its story as rows of a table."""

from typing import Any

from testbed.eks.ipamd.decisions import (
    AssignAddresses,
    AssignPrefixes,
    AttachEni,
    Decision,
    FreeEni,
    Refusal,
    UnassignAddresses,
    UnassignPrefixes,
)
from testbed.eks.ipamd.runs.timeline import Event


def row(event: Event) -> dict[str, Any]:
    """What one line of a timeline shows."""
    return {
        "at": f"{event.at_s:g}s",
        "pods": event.pods,
        "waiting": event.waiting or "",
        "pool": f"{event.total}/{event.assigned}",
        "enis": event.enis,
        "requests": event.requests,
        "ipamd": "; ".join([*(["starts again"] * event.restarted), *map(words, event.done)]),
    }


def words(done: Decision | Refusal) -> str:
    """`eth1: +9 addresses`, `attach an ENI with 1 prefix`, `eth0: +1 prefix: refused (…)`."""
    match done:
        case Refusal(decision, code, message):
            return f"{words(decision)}: refused ({code or message})"
        case AssignAddresses(eni, count):
            return f"{eni}: +{_counted(count, 'address')}"
        case AssignPrefixes(eni, count):
            return f"{eni}: +{_counted(count, 'prefix')}"
        case AttachEni():
            return f"attach an ENI{_brought(done)}"
        case UnassignAddresses(eni, gone):
            return f"{eni}: -{_counted(len(gone), 'address')}"
        case UnassignPrefixes(eni, gone_prefixes):
            return f"{eni}: -{_counted(len(gone_prefixes), 'prefix')}"
        case FreeEni(eni):
            return f"detach and delete {eni}"


def _brought(attach: AttachEni) -> str:
    if attach.prefixes:
        return f" with {_counted(attach.prefixes, 'prefix')}"
    return f" with {_counted(attach.addresses, 'address')}" if attach.addresses else ""


def _counted(count: int, what: str) -> str:
    return f"{count} {what if count == 1 else what + 'es'}"
