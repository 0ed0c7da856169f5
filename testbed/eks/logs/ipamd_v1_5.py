"""What ipamD of v1.5 says of its decisions.

Source: amazon-vpc-cni-k8s v1.5.7, ipamd, ipamd/datastore, pkg/awsutils.
"""

from collections.abc import Iterator
from functools import singledispatch

from testbed.eks.ipamd.datastore.store import DataStore, count
from testbed.eks.ipamd.decisions import (
    AssignAddresses,
    AttachEni,
    FreeEni,
    Refusal,
    UnassignAddresses,
)
from testbed.eks.ipamd.settings import Settings
from testbed.eks.logs.events import Added, Deleted, Event, Pass, Refused, SetUp, Started
from testbed.eks.logs.line import DEBUG, ERROR, INFO, WARN, Line
from testbed.eks.logs.pools import added, listed, new_eni, short_of
from testbed.eks.logs.sandbox import netns
from testbed.eks.profiles import ERAS
from testbed.eks.wiring.node import eni_table
from testbed.kubernetes.model import Pod
from testbed.net.facts import MAIN


@singledispatch
def lines(event: Event) -> Iterator[Line]:
    """The lines of one event."""
    raise NotImplementedError(type(event))


@lines.register
def _(_: Started) -> Iterator[Line]:
    yield Line(INFO, f"Starting L-IPAMD {ERAS['slides'].release}  ...")
    yield Line(INFO, "Setting up host network... ")


@lines.register
def _(event: Added) -> Iterator[Line]:
    pod, ip = event.pod, event.placed.ip
    yield _asked(pod)
    pool = f"total: {event.stats.total}, assigned {event.stats.assigned}"
    yield Line(DEBUG, f"AssignIPv4Address: IP address pool stats: {pool}")
    whose = f"(name {pod.name}, namespace {pod.namespace} container {pod.sandbox})"
    yield Line(INFO, f"AssignPodIPv4Address: Assign IP {ip} to pod {whose}")
    yield _answered("Add", ip, event.placed.device_index)


@lines.register
def _(event: Refused) -> Iterator[Line]:
    yield _asked(event.pod)
    yield Line(ERROR, "DataStore has no available IP addresses")
    error = "assignPodIPv4AddressUnsafe: no available IP addresses"
    reply = f"Send AddNetworkReply: IPv4Addr , DeviceNumber: 0, err: {error}"
    yield Line(INFO, reply)


@lines.register
def _(event: Deleted) -> Iterator[Line]:
    pod, ip, device = event.pod, event.placed.ip, event.placed.device_index
    whose = f"Pod {pod.name}, Namespace {pod.namespace}, Container {pod.sandbox}"
    yield Line(INFO, f"Received DelNetwork for IP , {whose}")
    whose = f"(Name: {pod.name}, NameSpace {pod.namespace} Container {pod.sandbox})"
    told = f"pod {whose}'s ipAddr {ip}, DeviceNumber{_number(device)}"
    yield Line(INFO, f"UnassignPodIPv4Address: {told}")
    yield _answered("Del", ip, device)


@lines.register
def _(event: SetUp) -> Iterator[Line]:
    eni, table = event.eni, eni_table(event.eni.device_index)
    what = f"IP address {eni.primary}, MAC address {eni.mac}, CIDR {event.cidr}"
    yield Line(INFO, f"Setting up network for an ENI with {what} and route table {table}")
    yield Line(DEBUG, f"Setting up ENI's primary IP {eni.primary}")
    yield Line(DEBUG, f"Adding IP address {eni.primary}/{event.cidr.prefixlen}")
    gateway = event.cidr[1]
    yield Line(DEBUG, f"Setting up ENI's default gateway {gateway}")
    for to in (gateway, "0.0.0.0"):
        added_to = f"Successfully added route route {to}/0 via {gateway} table {table}"
        yield Line(DEBUG, added_to)


@lines.register
def _(event: Pass) -> Iterator[Line]:
    grows = any(isinstance(one, AssignAddresses | AttachEni) for one in event.done)
    if grows:
        before = count(event.before, event.rules)
        if not event.rules.targets_defined:
            yield _pool(event.before, event.rules)
            yield Line(DEBUG, f"IP pool is too low: {short_of(before, event.rules)}")
        yield Line(DEBUG, "Starting to increase IP pool size")
    for one in event.done:
        yield from _done(one, event)
    if grows:
        yield Line(DEBUG, "Successfully increased IP pool")
        yield _pool(event.after, event.rules)


@singledispatch
def _done(done: object, event: Pass) -> Iterator[Line]:
    raise NotImplementedError(type(done))


@_done.register
def _(done: AssignAddresses, event: Pass) -> Iterator[Line]:
    yield Line(INFO, f"Trying to allocate {done.count} IP addresses on ENI {done.eni}")
    for one in added(event, done.eni):
        yield Line(INFO, f"Added ENI({done.eni})'s IP {one} to datastore")


@_done.register
def _(_: AttachEni, event: Pass) -> Iterator[Line]:
    if eni := new_eni(event):
        yield Line(INFO, f"Created a new ENI: {eni.id}")
        attached = f"Successfully created and attached a new ENI {eni.id} to instance"
        yield Line(INFO, attached)
        yield Line(DEBUG, f"DataStore Add an ENI {eni.id}")


@_done.register
def _(done: UnassignAddresses, event: Pass) -> Iterator[Line]:
    for one in done.addresses:
        yield Line(INFO, f"Deleted ENI({done.eni})'s IP {one} from datastore")
    gone = listed(done.addresses)
    yield Line(INFO, f"Trying to unassign the following IPs {gone} from ENI {done.eni}")
    freed = f"Successfully decreased IP pool by removing IPs {gone} from ENI {done.eni}"
    yield Line(DEBUG, freed)


@_done.register
def _(done: FreeEni, event: Pass) -> Iterator[Line]:
    left, had = count(event.after, event.rules), event.before.eni(done.eni)
    stats = f"free {had.slots} addresses, total: {left.total}, assigned: {left.assigned}"
    yield Line(INFO, f"RemoveUnusedENIFromStore {done.eni}: IP address pool stats: {stats}")
    yield Line(DEBUG, f"Start freeing ENI {done.eni}")
    yield Line(INFO, f"Trying to free ENI: {done.eni}")
    for done_to in ("detached", "deleted", "freed"):
        yield Line(INFO, f"Successfully {done_to} ENI: {done.eni}")


@_done.register
def _(done: Refusal, event: Pass) -> Iterator[Line]:
    error = f"{done.code}: {done.message}" if done.code else done.message
    match done.decision:
        case AssignAddresses(eni):
            yield Line(ERROR, f"Failed to allocate a private IP address {error}")
            all_of = "failed to allocate all available IP addresses"
            yield Line(WARN, f"{all_of} on ENI {eni}, err: {error}")
        case AttachEni():
            failed = "Failed to increase pool size due to not able to allocate ENI"
            yield Line(ERROR, f"{failed} {error}")
        case FreeEni(eni):
            yield Line(ERROR, f"Failed to free ENI {eni}, err: {error}")
        case _:
            yield Line(ERROR, f"Failed to deallocate a private IP address {error}")


def _asked(pod: Pod) -> Line:
    whose = f"Pod {pod.name}, NameSpace {pod.namespace}, Container {pod.sandbox}"
    return Line(INFO, f"Received AddNetwork for NS {netns(pod)}, {whose}, ifname eth0")


def _answered(call: str, ip: object, device_index: int) -> Line:
    reply = f"IPv4Addr {ip}, DeviceNumber: {_number(device_index)}, err: <nil>"
    return Line(INFO, f"Send {call}NetworkReply: {reply}")


def _number(device_index: int) -> int:
    """v1.5's DeviceNumber is the table; the primary ENI has 0."""
    table = eni_table(device_index)
    return 0 if table == MAIN else table


def _pool(store: DataStore, rules: Settings) -> Line:
    stats = count(store, rules)
    numbers = f"total = {stats.total}, used = {stats.assigned}"
    return Line(DEBUG, f"IP pool stats: {numbers}, c.maxIPsPerENI = {rules.slots_per_eni}")
