"""Endpoints of the caller's zone, where a Service asks for them and each endpoint has a hint.

kubernetes v1.30, pkg/proxy/topology_test.go: TestCategorizeEndpoints.  The node `me` is in zone-a.
"""

from typing import Any

import pytest

from testbed.errors import DescriptionError
from testbed.kubernetes.topology_hints import MODE, OLD_MODE
from tests.services.kube_proxy.packets.flows import P80, at, endpoints, flows, service

ALL = "10.0.1.1:80, 10.0.1.2:80, 10.0.1.3:80, 10.0.1.4:80"
HINTED = [
    at("10.0.1.1", "me", "zone-a"),
    at("10.0.1.2", "other", "zone-b"),
    at("10.0.1.3", "other", "zone-b"),
    at("10.0.1.4", "other", "zone-a"),
]
AUTO = {"annotations": {MODE: "Auto"}}
CLOSE = {"trafficDistribution": "PreferClose"}


def taken(slices: list[dict[str, Any]], **spec: Any) -> str:
    flags = {"era": spec.pop("era", "current")}
    manifest = service("svc", "172.30.0.41", P80, **spec) + endpoints("svc", slices, P80)
    return flows(manifest, **flags)("10.0.0.2", "172.30.0.41:80")


ASKED: dict[str, tuple[dict[str, Any], bool]] = {  # how a Service asks, and whether that counts
    "nothing": ({}, False),
    "Auto": (AUTO, True),
    "auto": ({"annotations": {MODE: "auto"}}, True),
    "disabled": ({"annotations": {MODE: "Disabled"}}, False),
    "another word": ({"annotations": {MODE: "on"}}, False),
    "the old annotation": ({"annotations": {OLD_MODE: "auto"}}, True),
    "the new one wins": ({"annotations": {OLD_MODE: "auto", MODE: "Disabled"}}, False),
    "PreferClose": (CLOSE, True),
    "PreferSameZone": ({"trafficDistribution": "PreferSameZone"}, True),
    "in 1.14": (CLOSE | {"era": "1.14"}, False),
}


@pytest.mark.parametrize(("spec", "counts"), ASKED.values(), ids=ASKED)
def test_hints_count_where_a_service_asks_for_them(spec: dict[str, Any], counts: bool) -> None:
    assert taken(HINTED, **spec) == ("10.0.1.1:80, 10.0.1.4:80" if counts else ALL)


def replaced(place: int, other: dict[str, Any]) -> list[dict[str, Any]]:
    return [*HINTED[:place], other, *HINTED[place + 1 :]]


WITHOUT: dict[str, tuple[list[dict[str, Any]], str]] = {
    "one has no hint": (replaced(2, at("10.0.1.3", "other")), ALL),
    "none is for the zone": (
        [at(f"10.0.1.{i}", "other", "zone-b") for i in range(1, 5)],
        ALL,
    ),
    "one is for both zones": (
        replaced(1, at("10.0.1.2", "other", "zone-a zone-b")),
        "10.0.1.1:80, 10.0.1.2:80, 10.0.1.4:80",
    ),
    "who has none is not ready": (
        replaced(2, at("10.0.1.3", "other", ready=False)),
        "10.0.1.1:80, 10.0.1.4:80",
    ),
    "who is for the zone is not ready": (
        [at("10.0.1.1", "me", "zone-a", ready=False), *HINTED[1:3]],
        "10.0.1.2:80, 10.0.1.3:80",
    ),
    "all are ending": (
        [at("10.0.1.1", "me", "zone-b", ready=False, terminating=True)],
        "10.0.1.1:80",
    ),
}


@pytest.mark.parametrize(("slices", "there"), WITHOUT.values(), ids=WITHOUT)
def test_hints_never_leave_a_caller_without_an_endpoint(
    slices: list[dict[str, Any]], there: str
) -> None:
    assert taken(slices, **AUTO) == there


def test_a_local_policy_does_not_ask_for_hints() -> None:
    """The endpoint here is meant for another zone, and taken by who wants one here."""
    local = {"externalTrafficPolicy": "Local", "ingress": [{"ip": "1.2.3.4"}], **AUTO}
    slices = [at("10.0.1.1", "me", "zone-b"), at("10.0.1.2", "other", "zone-a")]
    node = flows(
        service("svc", "172.30.0.41", P80, type="LoadBalancer", **local)
        + endpoints("svc", slices, P80)
    )

    assert node("10.0.0.2", "172.30.0.41:80") == "10.0.1.2:80"
    assert node("203.0.113.2", "1.2.3.4:80") == "10.0.1.1:80"


def test_hints_by_cpus_are_nobodys_here() -> None:
    """Kubernetes' controller gives them to pods by what nodes have; written ones are followed."""
    with pytest.raises(
        DescriptionError, match=r"topology-mode\"\]: the testbed gives pods no hints"
    ):
        flows(service("svc", "172.30.0.41", P80, selector={"app": "web"}, **AUTO))
