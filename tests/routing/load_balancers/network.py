"""Network Load Balancers in a real lab, and clients that call them."""

import json
from collections.abc import Callable
from ipaddress import IPv4Address

from testbed.bed import Bed
from testbed.explain.reachability import question
from testbed.explain.walk.predict import predict
from testbed.explain.walk.world import World
from testbed.plan import served

ZONE_A, ZONE_B = "nlb-web-us-west-2a", "nlb-web-us-west-2b"
SHOWN = {"target_group_attributes": "preserve_client_ip.enabled=true"}
PODS = {"type": "external", "nlb_target_type": "ip"}
Serve = Callable[..., Bed]


def address(bed: Bed, balancer: str) -> str:
    """Where a zone's load balancer is reached."""
    [eni] = [eni for eni in bed.allocations.enis if eni.instance == balancer]
    return str(eni.public_ip or eni.primary)


def private(bed: Bed, balancer: str) -> str:
    [eni] = [eni for eni in bed.allocations.enis if eni.instance == balancer]
    return str(eni.primary)


def curl(bed: Bed, source: str, to: str) -> dict[str, str]:
    """What the pod that answered said; empty when none did."""
    url = f"http://{to}/"
    result = bed.run(source, "curl", "-sS", "--max-time", f"{bed.patience_s}", url)
    answer: dict[str, str] = json.loads(result.stdout) if result.returncode == 0 else {}
    return answer


def client(answer: dict[str, str]) -> IPv4Address:
    """Whom the pod saw."""
    return IPv4Address(answer["client"].rsplit(":", 1)[0])


def codes(bed: Bed, source: str, to: str) -> set[str]:
    """The codes of all the ways that a connection may go; empty for one that works."""
    asked = question("tcp", bed.address(source), bed.address(to), 80)
    trips = predict(World.planned(bed.state), source, asked, served(bed.lab, bed.allocations))
    return {(trip.back or trip.there).end.code for trip in trips}
