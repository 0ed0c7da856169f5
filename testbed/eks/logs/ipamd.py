"""What ipamD of v1.23 says of its decisions.

Source: amazon-vpc-cni-k8s v1.23.1, pkg/ipamd, pkg/ipamd/datastore, pkg/awsutils.
"""

from collections.abc import Iterator
from functools import singledispatch

from testbed.eks.ipamd.datastore.store import DataStore, Stats, count
from testbed.eks.ipamd.decisions import (
    Assign,
    AssignAddresses,
    AssignPrefixes,
    AttachEni,
    FreeEni,
    Granted,
    Refusal,
    UnassignAddresses,
    UnassignPrefixes,
)
from testbed.eks.ipamd.settings import Settings
from testbed.eks.logs.events import Added, Deleted, Event, Pass, Refused, SetUp, Started
from testbed.eks.logs.line import DEBUG, ERROR, INFO, WARN, Line
from testbed.eks.logs.pools import added, counted, listed, new_eni, short_of, slots
from testbed.eks.logs.sandbox import key, netns
from testbed.eks.profiles import ERAS
from testbed.eks.wiring.node import eni_table
from testbed.kubernetes.model import Pod

ADD, DEL = "rpc/rpc_grpc.pb.go:117", "rpc/rpc_grpc.pb.go:135"
ASSIGN, UNASSIGN = "datastore/data_store.go:713", "ipamd/rpc_handler.go:354"
FULL = (
    "Unable to attach IPs/Prefixes for the ENI, subnet doesn't seem to have enough IPs/Prefixes."
    " Consider using new subnet or carve a reserved range using create-subnet-cidr-reservation"
)


@singledispatch
def lines(event: Event) -> Iterator[Line]:
    """The lines of one event."""
    raise NotImplementedError(type(event))


@lines.register
def _(event: Started) -> Iterator[Line]:
    yield Line(INFO, "Constructed new logger instance", "logger/logger.go:52")
    existing = "Initialized new logger as an existing instance was not found"
    yield Line(INFO, existing, "aws-k8s-agent/main.go:99")
    release = ERAS["current"].release
    yield Line(INFO, f"Starting L-IPAMD {release}  ...", "aws-k8s-agent/main.go:52")
    yield Line(INFO, "Setting up host network... ", "ipamd/ipamd.go:475")


@lines.register
def _(event: Added) -> Iterator[Line]:
    ip, table = str(event.placed.ip), eni_table(event.placed.device_index)
    yield from _asked(event.pod, event.stats)
    yield Line(DEBUG, f"New IP from CIDR pool- {ip}", ASSIGN)
    metadata = f"K8SPodNamespace:{event.pod.namespace} K8SPodName:{event.pod.name}"
    given = f"Assign IP {ip} to sandbox {key(event.pod)} with metadata"
    yield Line(
        INFO,
        f"assignPodIPAddressUnsafe: {given} {{{metadata} InterfacesCount:1}}",
        "datastore/data_store.go:838",
    )
    yield Line(INFO, "Address assigned from datastores:  1", ADD)
    device = f" DeviceNumber:{event.placed.device_index}" if event.placed.device_index else ""
    reply = f'[IPv4Addr:"{ip}"{device} RouteTableId:{table}]'
    yield Line(INFO, f"Send AddNetworkReply: Success: true IPAddr: {reply}, err: <nil>", ADD)


@lines.register
def _(event: Refused) -> Iterator[Line]:
    yield from _asked(event.pod, event.stats)
    yield Line(ERROR, "DataStore has no available IP/Prefix addresses", ASSIGN)
    why = "AssignPodIPAddress: no available IP/Prefix addresses"
    yield Line(ERROR, f"Returning failure response for AddNetwork: {why}", ADD)
    yield Line(INFO, "Send AddNetworkReply: Success: false IPAddr: [], err: <nil>", ADD)


@lines.register
def _(event: Deleted) -> Iterator[Line]:
    ip, sandbox = event.placed.ip, key(event.pod)
    yield Line(INFO, f"Received DelNetwork for Sandbox {event.pod.sandbox}", DEL)
    unassigned = f"Unassign IP {ip} from sandbox {sandbox}"
    yield Line(INFO, f"unassignPodIPAddressUnsafe: {unassigned}", "datastore/data_store.go:1262")
    cools = f"IP {ip} entering cooldown period of {_duration(event.cooldown_s)}"
    yield Line(DEBUG, cools, UNASSIGN)
    device = f"DeviceNumber {event.placed.device_index}"
    told = f"UnassignPodIPAddress: sandbox {sandbox}'s ipAddr {ip}, {device}"
    yield Line(INFO, told, UNASSIGN)
    yield Line(INFO, f'Send DelNetworkReply: IPAddress: [IPv4Addr:"{ip}"], err: <nil>', DEL)


@lines.register
def _(event: SetUp) -> Iterator[Line]:
    eni, table = event.eni, eni_table(event.eni.device_index)
    caller = "networkutils/network.go:947"
    what = f"IP address {eni.primary}, MAC address {eni.mac}, CIDR {event.cidr}"
    where = f"route table {table} and Network Card 0"
    yield Line(INFO, f"Setting up network for an ENI with {what}, {where}", caller)
    yield Line(DEBUG, f"Setting up ENI's primary IP {eni.primary}", caller)
    yield Line(DEBUG, f"Adding IP address {eni.primary}/{event.cidr.prefixlen}", caller)
    rule = f"setupENINetwork: rule for Primary IP {eni.primary} added"
    yield Line(DEBUG, rule, caller)


@lines.register
def _(event: Pass) -> Iterator[Line]:
    rules = event.rules
    grows = any(isinstance(one, Assign | AttachEni) for one in event.done)
    if grows:
        before = count(event.before, rules)
        if not rules.targets_defined:
            low = "IP pool is too low for Network Card 0: " + short_of(before, rules)
            yield Line(DEBUG, low, "ipamd/ipamd.go:803")
            yield _pool(event.before, rules, "ipamd/ipamd.go:2652")
        start = "Starting to increase pool size for network card 0"
        yield Line(DEBUG, start, "ipamd/ipamd.go:807")
    for one in event.done:
        yield from _done(one, event)
    if grows:
        yield _pool(event.after, rules, "ipamd/ipamd.go:1047")


@singledispatch
def _done(done: object, event: Pass) -> Iterator[Line]:
    raise NotImplementedError(type(done))


@_done.register(AssignAddresses)
@_done.register(AssignPrefixes)
def _(done: Assign, event: Pass) -> Iterator[Line]:
    what = "prefixes" if isinstance(done, AssignPrefixes) else "addresses"
    asked = "ipamd/ipamd.go:1225" if isinstance(done, AssignPrefixes) else "ipamd/ipamd.go:1135"
    yield Line(INFO, f"Trying to allocate {done.count} IP addresses on ENI {done.eni}", asked)
    yield Line(INFO, f"Allocated {done.count} private IP {what}", asked)
    yield from _stored(done.eni, added(event, done.eni), event)


@_done.register
def _(done: AttachEni, event: Pass) -> Iterator[Line]:
    eni = new_eni(event)
    wanted = done.addresses or done.prefixes
    trying = f"Trying to allocate {wanted} IP addresses on new ENI"
    yield Line(INFO, trying, "awsutils/awsutils.go:979")
    if eni is None:  # it did not last
        return
    yield Line(INFO, f"Created a new ENI: {eni.id}", "awsutils/awsutils.go:1192")
    attached = (
        f"Successfully created and attached a new ENI {eni.id} to instance on network card 0"
    )
    yield Line(INFO, attached, "ipamd/ipamd.go:1071")
    yield Line(DEBUG, f"DataStore add an ENI {eni.id}", "ipamd/ipamd.go:1283")
    addresses, prefixes = counted(slots(eni))
    yield Line(
        INFO,
        f"Found ENIs having {addresses + 1} secondary IPs and {prefixes} Prefixes",
        "ipamd/ipamd.go:1091",
    )
    yield from _stored(eni.id, slots(eni), event)


@_done.register(UnassignAddresses)
@_done.register(UnassignPrefixes)
def _(done: UnassignAddresses | UnassignPrefixes, event: Pass) -> Iterator[Line]:
    of_prefixes = isinstance(done, UnassignPrefixes)
    gone = done.prefixes if isinstance(done, UnassignPrefixes) else done.addresses
    for one in gone:
        told = f"Deleted ENI({done.eni})'s IP/Prefix {_cidr(one)} from datastore"
        yield Line(INFO, told, "ipamd/ipamd.go:922")
    what = "Prefixes" if of_prefixes else "IPs"
    asked = "ipamd/ipamd.go:2704" if of_prefixes else "ipamd/ipamd.go:2708"
    trying = f"Trying to unassign the following {what} {listed(gone)} from ENI {done.eni}"
    yield Line(INFO, trying, asked)
    freed = f"Successfully freed {'all Prefixes' if of_prefixes else 'IPs'} {listed(gone)}"
    yield Line(DEBUG, f"{freed} from ENI {done.eni}", asked)


@_done.register
def _(done: FreeEni, event: Pass) -> Iterator[Line]:
    left, had = count(event.after, event.rules), event.before.eni(done.eni)
    stats = f"total: {left.total}, assigned: {left.assigned}, total prefixes: {left.prefixes}"
    yield Line(
        INFO,
        f"RemoveUnusedENIFromStore {done.eni}: IP/Prefix address pool stats:"
        f" free {had.slots} addresses, {stats}",
        "ipamd/ipamd.go:867",
    )
    yield Line(DEBUG, f"Start freeing ENI {done.eni} from network card 0", "ipamd/ipamd.go:813")
    yield Line(INFO, f"Trying to free ENI: {done.eni}", "awsutils/awsutils.go:1429")
    for done_to in ("detached", "deleted"):
        yield Line(INFO, f"Successfully {done_to} ENI: {done.eni}", "retry/retry.go:70")
    yield Line(INFO, f"Successfully freed ENI: {done.eni}", "awsutils/awsutils.go:1429")


@_done.register
def _(done: Refusal, event: Pass) -> Iterator[Line]:
    error = f"api error {done.code}: {done.message}" if done.code else done.message
    match done.decision:
        case AssignAddresses(eni) | AssignPrefixes(eni):
            failed = f"Failed to allocate a private IP/Prefix addresses on ENI {eni}: {error}"
            yield Line(ERROR, failed, "ipamd/ipamd.go:1135")
            all_of = "failed to allocate all available IP addresses"
            yield Line(WARN, f"{all_of} on ENI {eni}, err: {error}", "ipamd/ipamd.go:1109")
        case AttachEni(addresses, prefixes):
            failed = f"Failed to increase pool size due to not able to allocate ENI {error}"
            yield Line(ERROR, failed, "ipamd/ipamd.go:998")
            wanted = f"Failed to allocate {addresses or prefixes} IP addresses on an ENI"
            yield Line(WARN, f"{wanted}: {error}", "ipamd/ipamd.go:998")
            if done.code.startswith("Insufficient"):
                yield Line(ERROR, FULL, "ipamd/ipamd.go:998")
        case FreeEni(eni):
            yield Line(ERROR, f"Failed to free ENI {eni}, err: {error}", "ipamd/ipamd.go:813")
        case UnassignAddresses() | UnassignPrefixes():
            failed = f"Failed to deallocate a private IP address {error}"
            yield Line(ERROR, failed, "ipamd/ipamd.go:2708")


def _asked(pod: Pod, stats: Stats) -> Iterator[Line]:
    place = f"NS {netns(pod)}, Sandbox {pod.sandbox}, ifname eth0"
    yield Line(INFO, f"Received AddNetwork for {place}", ADD)
    pool = f"total {stats.total}, assigned {stats.assigned}"
    yield Line(DEBUG, f"AssignPodIPv4Address: IP address pool stats: {pool}", ASSIGN)


def _stored(eni: str, gained: Granted, event: Pass) -> Iterator[Line]:
    for cidr in map(_cidr, gained):
        add = "ipamd/ipamd.go:1350" if cidr.endswith("/32") else "ipamd/ipamd.go:1371"
        yield Line(INFO, f"Adding {cidr} to DS for {eni}", add)
        yield Line(INFO, f"Added ENI({eni})'s IP/Prefix {cidr} to datastore", add)


def _duration(seconds: int) -> str:
    """As Go prints it: `30s`, `1m0s`, `1h0m0s`."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h" * bool(hours) + f"{minutes}m" * bool(hours or minutes) + f"{rest}s"


def _cidr(one: object) -> str:
    text = str(one)
    return text if "/" in text else f"{text}/32"


def _pool(store: DataStore, rules: Settings, caller: str) -> Line:
    stats = count(store, rules)
    kind = "Prefix" if rules.prefix_delegation else "IP"
    told = f"Total IPs/Prefixes = {stats.total}/{stats.prefixes}"
    told += f", AssignedIPs/CooldownIPs: {stats.assigned}/0"
    most = f"c.maxIPsPerENI = {rules.addresses_per_eni}"
    return Line(DEBUG, f"{kind} pool stats for network card 0: {told}, {most}", caller)
