"""Which of the addresses that somebody wrote kube-proxy takes, and in what order."""

from typing import Any

import pytest

from tests.services.kube_proxy.packets.flows import P80, at, endpoints, flows, service

CHAIN = "KUBE-SVC-46GBXWOV7HYECMJD"  # of ns/svc:p80 and tcp
SERVICE = service("svc", "172.30.0.41", P80)


def taken(*slices: str, manifest: str = SERVICE, **flags: Any) -> str:
    return flows(manifest + "".join(slices), **flags)("10.0.0.2", "172.30.0.41:80")


def subset(*addresses: str, not_ready: tuple[str, ...] = (), **port: Any) -> str:
    """The manifest of Endpoints `ns/svc`."""
    ready, others = ([f"{{ip: {one}}}" for one in which] for which in (addresses, not_ready))
    return f"""
---
apiVersion: v1
kind: Endpoints
metadata: {{name: svc, namespace: ns}}
subsets:
- addresses: [{", ".join(ready)}]
  notReadyAddresses: [{", ".join(others)}]
  ports: [{P80 | port}]
"""


def test_what_no_condition_tells_is_true() -> None:
    """pkg/proxy/endpointslicecache.go: `serving` too, whatever `ready` says."""
    assert taken(endpoints("svc", [at("10.0.1.1")], P80)) == "10.0.1.1:80"
    assert taken(endpoints("svc", [at("10.0.1.1", ready=False)], P80)) == "REJECT"
    ending = at("10.0.1.1", ready=False, terminating=True)
    assert taken(endpoints("svc", [ending], P80)) == "10.0.1.1:80"


def test_a_pod_that_has_the_address_of_one_that_ends_is_preferred() -> None:
    """TestEndpointSliceCache, duplicates: in whatever order, and on whatever node."""
    ending = at("10.0.1.1", "old", ready=False, serving=True, terminating=True)
    running = at("10.0.1.1", "me", ready=True)
    local = service("svc", "172.30.0.41", P80, internalTrafficPolicy="Local")

    for both in ([ending, running], [running, ending]):
        assert taken(endpoints("svc", both, P80), manifest=local) == "10.0.1.1:80"


def test_an_address_in_several_slices_is_one_endpoint() -> None:
    one = endpoints("svc", [at("10.0.1.1"), at("10.0.1.2")], P80)
    other = endpoints("svc", [at("10.0.1.2"), at("10.0.1.3")], P80).replace("svc-1", "svc-2")

    assert len(flows(SERVICE + one + other).chain("nat", CHAIN)) == 4


def test_a_port_without_a_number_is_passed_over() -> None:
    """In a slice it would mean all of them."""
    slices = endpoints("svc", [at("10.0.1.1")], {"name": "p80"})

    assert taken(slices) == "REJECT"
    assert taken(slices.replace('{"name": "p80"}', '{"name": "p80", "port": null}')) == "REJECT"


def test_who_writes_an_endpoint_says_whether_it_is_ready() -> None:
    """publishNotReadyAddresses is for the controller that writes endpoints of pods."""
    published = service("svc", "172.30.0.41", P80, publishNotReadyAddresses=True)

    assert (
        taken(endpoints("svc", [at("10.0.1.1", ready=False)], P80), manifest=published) == "REJECT"
    )


@pytest.mark.parametrize(("era", "there"), [("1.14", "10.0.1.1:80"), ("current", "10.0.1.2:80")])
def test_of_both_kinds_each_era_watches_its_own(era: str, there: str) -> None:
    """A dump has Endpoints and the slices that mirror them."""
    old, new = subset("10.0.1.1"), endpoints("svc", [at("10.0.1.2")], P80)

    assert taken(old, new, era=era) == there
    assert taken(old, era=era) == "10.0.1.1:80"
    assert taken(new, era=era) == "10.0.1.2:80"


def test_1_14_knows_a_port_by_its_name_whatever_its_protocol() -> None:
    """Who forgets `protocol: UDP` in Endpoints is not found out until 1.17."""
    udp = service("svc", "172.30.0.41", P80 | {"protocol": "UDP"})
    written = subset("10.0.1.1", protocol="TCP")

    def asked(era: str) -> str:
        return flows(udp + written, era=era)("10.0.0.2", "172.30.0.41:80", "udp")

    assert (asked("1.14"), asked("current")) == ("10.0.1.1:80", "REJECT")


@pytest.mark.parametrize(
    ("era", "order"),
    [("1.14", ["10.0.1.2", "10.0.1.22"]), ("current", ["10.0.1.22", "10.0.1.2"])],
)
def test_addresses_come_in_the_order_of_their_texts(era: str, order: list[str]) -> None:
    """The API server sorts Endpoints so; today's kube-proxy sorts `ADDRESS:PORT`."""
    node = flows(SERVICE + subset("10.0.1.22", "10.0.1.2"), era=era)

    chains = [rule.split()[-1] for rule in node.chain("nat", CHAIN)]
    endpoint = [node.chain("nat", chain)[0].split()[1] for chain in chains if "SEP" in chain]
    assert endpoint == [f"{one}/32" for one in order]


def test_not_ready_trumps_ready() -> None:
    """RepackSubsets: an address that was written as both."""
    assert taken(subset("10.0.1.1", not_ready=("10.0.1.1",)), era="1.14") == "REJECT"
