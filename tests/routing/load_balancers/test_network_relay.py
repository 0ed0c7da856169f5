"""Network Load Balancers that end TLS or tell of the client: a relay, in real flows."""

import json
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

import pytest

from testbed.bed import Bed
from testbed.kubernetes.model import ServicePort
from tests.routing.load_balancers.network import ZONE_A, Serve, address, client, codes, private
from tests.waiting import wait_until

pytestmark = pytest.mark.kernel
HTTPS = ServicePort(443, 80, name="https")


@pytest.mark.parametrize("preserved", [True, False])
def test_tls_ends_there_and_targets_are_told_who_called(serve: Serve, preserved: bool) -> None:
    """A relay: the target sees the client, or the load balancer and the PROXY header."""
    attributes = f"proxy_protocol_v2.enabled=true,preserve_client_ip.enabled={preserved}".lower()
    bed = serve(
        "eks",
        ServicePort(80, name="http"),
        HTTPS,
        policy="Local",
        ssl_cert="arn:aws:acm:us-west-2:1:certificate/1",
        ssl_ports="https",
        target_group_attributes=attributes,
    )
    to = address(bed, ZONE_A)
    own = IPv4Address(private(bed, ZONE_A))

    for url in (f"https://{to}/", f"http://{to}/"):
        argv = ("curl", "-ksS", "--max-time", f"{bed.patience_s}", url)
        seen = json.loads(bed.run("internet", *argv).stdout)
        assert IPv4Address(seen["proxied"].rsplit(":", 1)[0]) == bed.address("internet")
        assert client(seen) == (bed.address("internet") if preserved else own)
    assert codes(bed, "internet", to) == {""}, "predicted: it ends at the load balancer"
    assert not bed.drift()


def test_a_relay_takes_all_targets_where_none_is_healthy(serve: Serve) -> None:
    """Fail open, as where flows are translated."""
    bed = serve("eks", HTTPS, ssl_cert="arn:x", healthcheck_port="9")
    argv = ("curl", "-ksS", "--max-time", f"{bed.patience_s}", f"https://{address(bed, ZONE_A)}/")
    wait_until(lambda: {*bed.target_states(ZONE_A).values()} == {"OutOfService"})

    assert json.loads(bed.run("internet", *argv).stdout)["pod"].startswith("web-")


def test_source_ranges_keep_others_from_a_relay(serve: Serve) -> None:
    bed = serve("eks", HTTPS, ssl_cert="arn:x")
    [cluster] = bed.lab.clusters
    [web] = cluster.services
    closed = replace(web, load_balancer_source_ranges=(IPv4Network("198.51.100.0/24"),))

    def answered(asked: Bed) -> bool:
        url = f"https://{address(bed, ZONE_A)}/"
        argv = ("curl", "-ksS", "--max-time", f"{asked.patience_s}", url)
        return asked.run("internet", *argv).returncode == 0

    assert answered(bed), "premise"

    bed.up(replace(bed.lab, clusters=(replace(cluster, services=(closed,)),)))

    assert not answered(bed.briefly)
