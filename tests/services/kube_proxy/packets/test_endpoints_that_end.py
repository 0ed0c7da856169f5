"""Endpoints that end while they still serve: taken only where nobody is ready.

kubernetes v1.30, pkg/proxy/iptables/proxier_test.go.
"""

from typing import Any

import pytest

from tests.services.kube_proxy.packets.flows import BALANCED, MODES, at, endpoints, flows, service


def ready(address: str, node: str) -> dict[str, Any]:
    return at(address, node, ready=True, serving=True, terminating=False)


def ending(address: str, node: str, *, serving: bool = True) -> dict[str, Any]:
    return at(address, node, ready=False, serving=serving, terminating=True)


SILENT = [ending("10.0.1.5", "me", serving=False), ending("10.0.1.5", "host", serving=False)]
ENDING = {  # policy, endpoints, who is behind the ClusterIP and behind the load balancer
    "Local: some are ready": (
        "Local",
        [
            ready("10.0.1.1", "me"),
            ready("10.0.1.2", "me"),
            ending("10.0.1.3", "me"),
            ending("10.0.1.4", "me", serving=False),
            ready("10.0.1.5", "host"),
        ],
        "10.0.1.1:80, 10.0.1.2:80, 10.0.1.5:80",
        "10.0.1.1:80, 10.0.1.2:80",
    ),
    "Local: all here are ending": (
        "Local",
        [
            ending("10.0.1.2", "me"),
            ending("10.0.1.3", "me"),
            ending("10.0.1.4", "me", serving=False),
            ready("10.0.1.5", "host"),
        ],
        "10.0.1.5:80",
        "10.0.1.2:80, 10.0.1.3:80",
    ),
    "Local: one elsewhere is ending": (
        "Local",
        [ending("10.0.1.5", "host")],
        "10.0.1.5:80",
        "DROP",
    ),
    "Local: none serves": ("Local", SILENT, "REJECT", "REJECT"),
    "Cluster: some are ready": (
        "Cluster",
        [
            ready("10.0.1.1", "me"),
            ready("10.0.1.2", "me"),
            ending("10.0.1.3", "host"),
            ending("10.0.1.4", "host", serving=False),
            ready("10.0.1.5", "host"),
        ],
        "10.0.1.1:80, 10.0.1.2:80, 10.0.1.5:80",
        "~10.0.1.1:80, ~10.0.1.2:80, ~10.0.1.5:80",
    ),
    "Cluster: all are ending": (
        "Cluster",
        [
            ending("10.0.1.2", "me"),
            ending("10.0.1.3", "me"),
            ending("10.0.1.4", "host", serving=False),
            ending("10.0.1.5", "host"),
        ],
        "10.0.1.2:80, 10.0.1.3:80, 10.0.1.5:80",
        "~10.0.1.2:80, ~10.0.1.3:80, ~10.0.1.5:80",
    ),
    "Cluster: one elsewhere is ending": (
        "Cluster",
        [ending("10.0.1.5", "host")],
        "10.0.1.5:80",
        "~10.0.1.5:80",
    ),
    "Cluster: none serves": ("Cluster", SILENT, "REJECT", "REJECT"),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", ENDING.values(), ids=ENDING)
def test_endpoints_that_end(case: tuple[str, list[dict[str, Any]], str, str], mode: str) -> None:
    """TestTerminatingEndpointsTrafficPolicyLocal and …Cluster."""
    policy, slices, inside, outside = case
    node = flows(
        service("svc", "172.30.1.1", {"port": 80}, externalTrafficPolicy=policy, **BALANCED)
        + endpoints("svc", slices, {"port": 80}),
        mode=mode,
    )

    assert node("10.0.0.2", "172.30.1.1:80") == inside
    assert node("203.0.113.2", "1.2.3.4:80") == outside
