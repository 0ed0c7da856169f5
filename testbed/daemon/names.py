"""What a name stands for in the running lab: a namespace, an address."""

from ipaddress import IPv4Address

from testbed.daemon.running import RunningLab
from testbed.daemon.shown import views
from testbed.daemon.unknown import no_place
from testbed.description.problem import found, quoted
from testbed.errors import UsageError
from testbed.lab import service_cidr
from testbed.net.facts import IpAddress


def addresses(running: RunningLab) -> dict[str, str]:
    """The addresses of all places, by name."""
    return views.addresses(running.described(), running.allocations)


def required(running: RunningLab, name: str) -> str:
    """The namespace a name stands for: a hostNetwork pod is in its node's.

    Raises UsageError when there is none.
    """
    lodgers = {one.pod: one.node for one in running.allocations.pods if one.host_network}
    if name in lodgers:
        return lodgers[name]
    names = running.store.names()
    if name not in names:
        waiting = {pending.pod: pending.reason for pending in running.allocations.pending}
        if name in waiting:
            raise UsageError(f"pod '{name}' is Pending: {waiting[name]}")
        services = _services(running)
        if name in services:
            raise UsageError(
                f"'{name}' is a Service: `testbed explain A {name}` follows a packet to it"
            )
        raise UsageError(no_place(name, {*names, *lodgers, *services}))
    return name


def _services(running: RunningLab) -> set[str]:
    clusters = running.described().clusters
    return {one.qualified for cluster in clusters for one in cluster.services}


def address_of(running: RunningLab, name: str) -> IpAddress:
    """An address, or the one a name stands for.  Raises UsageError when there is none."""
    try:
        return IPv4Address(name)
    except ValueError:
        if name.count(":") > 1:
            raise UsageError(f"'{name}' is no IPv4 address; IPv6 is not there yet") from None
        if ":" in name:
            raise UsageError(_no_port(name)) from None
    known = running.derived(addresses)
    if name not in known:
        required(running, name)
        raise UsageError(f"'{name}' has no address; these have: {' '.join(sorted(known))}")
    return IPv4Address(known[name])


def _no_port(name: str) -> str:
    """Why a name with a colon is none: `explain` has taken off what is a port."""
    place, _, port = name.partition(":")
    if port.isdecimal():
        return f"{quoted(name)}: only `testbed explain` takes a port; here say {quoted(place)}"
    return f"{quoted(name)}: expected a port's number after the colon, found {found(port or None)}"


def refuse_service(running: RunningLab, address: IpAddress) -> None:
    """Raise UsageError for a Service's address: no routing alone leads there."""
    lab = running.described()
    vpcs = {vpc.name: vpc for vpc in lab.vpcs}
    for cluster in lab.clusters:
        if address in service_cidr(cluster, vpcs[cluster.vpc]):
            raise UsageError(
                f"{address} is an address of Services, which kube-proxy translates: ask for"
                " one of its endpoints (`testbed get endpoints`)"
            )
