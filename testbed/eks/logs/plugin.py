"""What the plugin `aws-cni` says of the pods it wires.

Sources: amazon-vpc-cni-k8s v1.23.1, cmd/routed-eni-cni-plugin; v1.5.7, plugins/routed-eni.
"""

import json
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network

from testbed.eks.conflist import conflist, pod_mtu
from testbed.eks.logs.events import Added, Deleted, Event, Refused
from testbed.eks.logs.line import DEBUG, ERROR, INFO, Line
from testbed.eks.logs.sandbox import arguments, netns
from testbed.eks.model import EksCluster
from testbed.eks.profiles import ERAS
from testbed.eks.wiring.node import eni_table
from testbed.eks.wiring.pod import FROM_POD, veth_name
from testbed.kubernetes.model import Pod
from testbed.net.facts import MAIN

ADD, DEL = "routed-eni-cni-plugin/cni.go:149", "routed-eni-cni-plugin/cni.go:370"
SET_UP, TEAR_DOWN = "routed-eni-cni-plugin/cni.go:288", "routed-eni-cni-plugin/cni.go:495"
ROUTES, NO_ROUTES = "driver/driver.go:298", "driver/driver.go:319"
PATH = "/opt/cni/bin"  # CNI_PATH: where the runtime looks for plugins


def lines(
    cluster: EksCluster, ranges: tuple[IPv4Network, ...], events: Iterable[Event]
) -> Iterator[Line]:
    """What it says of the pods' ADD and DEL; of anything else nothing.

    ranges: what is not translated, as the node knows it.
    """
    stdin = _stdin(cluster)
    for event in events:
        yield from _lines(cluster, ranges, stdin, event)


def _lines(
    cluster: EksCluster, ranges: tuple[IPv4Network, ...], stdin: str, event: Event
) -> Iterator[Line]:
    tells_routes = ERAS[cluster.profile].plugin_settings
    match event:
        case Added():
            yield _request("add", event.pod, stdin, ADD)
            yield from (_set_up if tells_routes else _set_up_v1_5)(cluster, ranges, event)
        case Refused(pod=pod):
            yield _request("add", pod, stdin, ADD)
            whose = f"container {pod.sandbox}"
            if not tells_routes:
                whose = f"pod {pod.name}, namespace {pod.namespace} {whose}"
            yield Line(ERROR, f"Failed to assign an IP address to {whose}", ADD)
        case Deleted():
            yield _request("del", event.pod, stdin, DEL)
            yield from (_torn_down if tells_routes else _torn_down_v1_5)(event)


def _stdin(cluster: EksCluster) -> str:
    """The configuration that the container runtime gives to the plugin."""
    whole = conflist(cluster)
    own = {key: whole[key] for key in ("cniVersion", "name")}
    own |= whole["plugins"][0] | {"name": whole["name"]}
    return json.dumps(own, separators=(",", ":"))


def _request(command: str, pod: Pod, stdin: str, caller: str) -> Line:
    given = f"ContainerID({pod.sandbox}) Netns({netns(pod)}) IfName(eth0) Args({arguments(pod)})"
    told = f"Received CNI {command} request: {given} Path({PATH}) argsStdinData({stdin})"
    return Line(INFO, told, caller)


def _set_up(cluster: EksCluster, ranges: tuple[IPv4Network, ...], event: Added) -> Iterator[Line]:
    pod, ip, table = event.pod, str(event.placed.ip), eni_table(event.placed.device_index)
    address = f"{ip}/32"
    reply = f'Success:true IPAllocationMetadata:{{IPv4Addr:"{ip}" RouteTableId:{table}}}'
    answer = f"Received add network response from ipamd for container {pod.sandbox}"
    yield Line(INFO, f"{answer} interface eth0: {reply}", ADD)
    veth, mtu = veth_name(cluster, pod), pod_mtu(cluster.env)
    links = f"hostVethName={veth}, contVethName=eth0, netnsPath={netns(pod)}"
    wiring = f"ipAddr={address}, routeTableNumber={table}, mtu={mtu}"
    yield Line(DEBUG, f"SetupPodNetwork: {links}, {wiring}", SET_UP)
    route = f"containerAddr={address}, hostVeth={veth}, rtTable=main"
    yield Line(DEBUG, f"Successfully setup container route, {route}", ROUTES)
    to_pod = f"containerAddr={address}, rtTable=main"
    yield Line(DEBUG, f"Successfully setup toContainer rule, {to_pod}", ROUTES)
    if table != MAIN:
        from_pod = f"containerAddr={address}, rtTable={table}"
        yield Line(DEBUG, f"Successfully setup fromContainer rule, {from_pod}", ROUTES)


def _torn_down(event: Deleted) -> Iterator[Line]:
    pod, placed = event.pod, event.placed
    address, table = f"{placed.ip}/32", eni_table(placed.device_index)
    whose = f"pod {pod.name} namespace {pod.namespace} sandbox {pod.sandbox}"
    reply = f'Success:true IPAllocationMetadata:{{IPv4Addr:"{placed.ip}" RouteTableId:{table}}}'
    yield Line(INFO, f"Received del network response from ipamd for {whose}: {reply}", DEL)
    torn = f"TeardownPodNetwork: containerAddr={address}, routeTable={table}"
    yield Line(DEBUG, torn, TEAR_DOWN)
    for what, by in (("toContainer rule", "main"), ("fromContainer rule", table)):
        if by != MAIN:
            told = f"Successfully deleted {what}, containerAddr={address}, rtTable={by}"
            yield Line(DEBUG, told, NO_ROUTES)
    told = f"Successfully deleted container route, containerAddr={address}, rtTable=main"
    yield Line(DEBUG, told, NO_ROUTES)


def _set_up_v1_5(
    cluster: EksCluster, ranges: tuple[IPv4Network, ...], event: Added
) -> Iterator[Line]:
    pod, placed, external = event.pod, event.placed, cluster.env.external_snat
    table = eni_table(placed.device_index)
    whose = f"pod {pod.name} namespace {pod.namespace} container {pod.sandbox}"
    said = f"external-SNAT: {str(external).lower()}, vpcCIDR: [{' '.join(map(str, ranges))}]"
    number = 0 if table == MAIN else table
    answer = f"Received add network response for {whose}: {placed.ip}, table {number}, {said}"
    yield Line(INFO, answer)
    yield Line(INFO, f"Added toContainer rule for {placed.ip}/32")
    if table == MAIN:
        return
    if external:
        yield Line(INFO, f"Added rule priority {FROM_POD} from {placed.ip}/32 table {table}")
        return
    for cidr in ranges:
        rule = f"ip rule {FROM_POD}: from {placed.ip}/32 table {table}"
        yield Line(INFO, f"Successfully added pod rule[{rule}] to {cidr}")


def _torn_down_v1_5(event: Deleted) -> Iterator[Line]:
    address, table = f"{event.placed.ip}/32", eni_table(event.placed.device_index)
    yield Line(INFO, f"Delete toContainer rule for {address} ")
    if table != MAIN:
        yield Line(INFO, f"Delete fromContainer rule for {address} in table {table}")
