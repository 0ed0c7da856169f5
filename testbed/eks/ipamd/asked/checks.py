"""What cannot be in a described ipamD: twice the same, no eth0, more than EC2 gives."""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

from testbed.description import duplicates
from testbed.description.problem import Path, Problem, Problems, quoted
from testbed.eks.ipamd.asked.grants import NEW
from testbed.eks.ipamd.asked.state import EniState, IpamState, PrefixState
from testbed.eks.ipamd.settings import Settings
from testbed.vpc.prefixes import PREFIX_LENGTH


def problems(state: IpamState, rules: Settings) -> Problems:
    """Everything wrong with a state, the most basic first."""
    yield from _store(state)
    for eni in state.enis:
        yield from _eni(state, eni, rules.slots_per_eni)
    # behind the prefixes' lengths: 0.0.0.0/0 has too many addresses to look at
    for twice in duplicates(address for eni in state.enis for address in _addresses(eni)):
        yield Problem(("enis",), f"the address {twice} is there twice")
    yield from _attached(state)


def _store(state: IpamState) -> Problems:
    for twice in duplicates(eni.id for eni in state.enis):
        yield Problem(("enis",), f"there are two ENIs {quoted(twice)}")
    for card in sorted({eni.network_card for eni in state.enis}):
        on_it = [eni for eni in state.enis if eni.network_card == card]
        for twice in duplicates(str(eni.device_index) for eni in on_it):
            where = f" of network card {card}" if card else ""
            yield Problem(("enis",), f"two ENIs{where} have the device index {twice}")
    if any(eni.id == NEW for eni in state.enis):
        message = f"{quoted(NEW)} is what the answer calls an ENI that is not there yet"
        yield Problem(("enis", NEW), message)
    if state.awaits_trunk and any(eni.trunk for eni in state.enis):
        yield Problem(("awaitsTrunk",), "a trunk is attached already, so none is awaited")
    if not any(eni.primary for eni in state.enis):
        yield Problem(("enis",), "no ENI has the device index 0, and every node has eth0")


def _eni(state: IpamState, eni: EniState, most: int) -> Problems:
    count = len({*eni.free, *eni.released}) + len(eni.assigned) + len(eni.prefixes)
    if count > most:
        has = f"an ENI of {state.instance_type} has {most}"
        message = f"{count} secondary addresses and prefixes; {has}"
        yield Problem(("enis", eni.id), message, "PrivateIpAddressLimitExceeded")
    for prefix in eni.prefixes:
        yield from _prefix(prefix, ("enis", eni.id, "prefixes", str(prefix.cidr)))


def _attached(state: IpamState) -> Problems:
    for key, listed in (("imds", state.imds or ()), ("ec2", state.ec2 or ())):
        for twice in duplicates(one.id for one in listed):
            yield Problem((key,), f"there are two ENIs {quoted(twice)}")
    for written in state.returned:
        if cidr(written) is None:
            message = f"expected an address or a prefix, found {quoted(written)}"
            yield Problem(("returned", written), message)


def cidr(written: str) -> IPv4Network | IPv4Address | None:
    """An address, or a prefix: `10.0.1.7`, `10.0.1.16/28`; None if it is neither."""
    try:
        return IPv4Network(written) if "/" in written else IPv4Address(written)
    except ValueError:
        return None


def _addresses(eni: EniState) -> Iterator[str]:
    """Every address of an ENI as often as it is there; `free` and `released` may both have it."""
    yield from map(str, [*eni.free, *eni.assigned])
    yield from map(str, set(eni.released) - set(eni.free))
    for prefix in eni.prefixes:
        yield from map(str, prefix.cidr)


def _prefix(prefix: PrefixState, path: Path) -> Problems:
    if prefix.cidr.prefixlen != PREFIX_LENGTH:
        yield Problem(path, f"an IPv4 prefix is a /{PREFIX_LENGTH}, not {prefix.cidr}")
    for key, addresses in (("assigned", prefix.assigned), ("released", tuple(prefix.released))):
        for address in addresses:
            if address not in prefix.cidr:
                yield Problem((*path, key), f"{address} is outside {prefix.cidr}")
    for twice in duplicates(map(str, (*prefix.assigned, *prefix.released))):
        yield Problem(path, f"the address {twice} is there twice")
