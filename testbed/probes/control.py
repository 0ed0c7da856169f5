"""Control probes: a silence is believed only where somebody was heard in the same run."""

from collections import defaultdict
from collections.abc import Callable, Iterable

from testbed.kernel.namespaces.store import NamespaceStore
from testbed.net.served.endpoints import Endpoint, Probed
from testbed.probes import http, ping, tcp
from testbed.probes.outcome import Outcome, Outcomes, Row, Target

Sweep = Callable[..., Outcomes]  # (store, rows, *, timeout_s)
SWEEPS: dict[Probed, Sweep] = {"icmp": ping.sweep, "tcp": tcp.sweep, "http": http.sweep}
DISCARD = 9  # /etc/services; a port for a probe that asks the kernel of the destination only


def target(endpoint: Endpoint, protocol: Probed) -> Target:
    """Where a probe of this endpoint goes."""
    return Target.of(endpoint.address, endpoint.port(protocol) or 0)


def answered(outcome: Outcome, endpoint: Endpoint) -> bool:
    """Whether this endpoint answered the probe, and not another one in its place."""
    if outcome.answer is None:
        return outcome.delivered
    return bool(outcome.answer.get("pod", endpoint.name) == endpoint.name)


def heard(
    store: NamespaceStore, endpoints: Iterable[Endpoint], protocol: Probed, timeout_s: float
) -> frozenset[str]:
    """The names of the endpoints that answer a probe from their control namespaces."""
    witnesses = defaultdict(list)
    for endpoint in endpoints:
        if endpoint.control_netns not in ("", endpoint.netns):
            witnesses[endpoint.control_netns].append(endpoint)
    rows = [
        Row(netns, [target(endpoint, protocol) for endpoint in group])
        for netns, group in witnesses.items()
    ]
    outcomes = SWEEPS[protocol](store, rows, timeout_s=timeout_s)
    return frozenset(
        endpoint.name
        for group, found in zip(witnesses.values(), outcomes, strict=True)
        for endpoint, outcome in zip(group, found, strict=True)
        if answered(outcome, endpoint)
    )


def spoke(
    store: NamespaceStore, endpoints: Iterable[Endpoint], protocol: Probed, timeout_s: float
) -> frozenset[str]:
    """The names of the endpoints whose own probe of their control address is answered.

    Over TCP a refusal is an answer: the control address need not serve anything.
    """
    speakers = []
    rows = []
    for endpoint in endpoints:
        if endpoint.control_address is not None:
            speakers.append(endpoint)
            port = 0 if protocol == "icmp" else endpoint.port(protocol) or DISCARD
            rows.append(Row(endpoint.netns, [Target.of(endpoint.control_address, port)]))
    sweep = ping.sweep if protocol == "icmp" else tcp.sweep
    outcomes = sweep(store, rows, timeout_s=timeout_s)
    return frozenset(
        endpoint.name
        for endpoint, [outcome] in zip(speakers, outcomes, strict=True)
        if outcome.verdict in ("delivered", "refused")
    )
