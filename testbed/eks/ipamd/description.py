"""ipamD's data store and settings as JSON, read and checked; pure.  See docs/ipam.md."""

import json
from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from testbed.description import STRICT, Cidr, Ip, Whole, document, duplicates, mistakes, named
from testbed.description.problem import Path, Problem, Problems, found, quoted
from testbed.eks.environment import CniSettings
from testbed.eks.ipamd.daemon import Conditions
from testbed.eks.ipamd.settings import Settings, settings
from testbed.eks.ipamd.store import LONG_AGO, DataStore, PoolEni, Prefix
from testbed.eks.model import EksCluster, Profile
from testbed.errors import DescriptionError, Where
from testbed.kubernetes.model import Node
from testbed.vpc.prefixes import PREFIX_LENGTH

NOW = 0.0  # everything in a state is so many seconds ago

SecondsAgo = Annotated[float, Field(ge=0)]
Released = Mapping[Ip, SecondsAgo]


@dataclass(frozen=True, config=STRICT)
class PrefixState:
    """A /28 of an ENI: the addresses pods have, and those given back so many seconds ago."""

    cidr: Cidr
    assigned: tuple[Ip, ...] = ()
    released: Released = Field(default_factory=dict)


@dataclass(frozen=True, config=STRICT)
class EniState:
    """An attached ENI with its secondary addresses and prefixes; none ago is long ago."""

    id: str
    device_index: Annotated[Whole, Field(ge=0)]
    free: tuple[Ip, ...] = ()
    assigned: tuple[Ip, ...] = ()
    released: Released = Field(default_factory=dict)
    prefixes: Annotated[tuple[PrefixState, ...], named("cidr")] = ()
    attached_seconds_ago: SecondsAgo | None = None
    trunk: bool = False
    efa: bool = False
    excluded: bool = False


@dataclass(frozen=True, config=STRICT)
class IpamState:
    """A node's ipamD.  max_pods: kubelet's; none takes what the instance type allows.

    subnet_free: addresses its subnet has left; none never refuses.
    """

    instance_type: str
    enis: Annotated[tuple[EniState, ...], named("id")]
    profile: Profile = "current"
    max_pods: Annotated[Whole, Field(ge=0)] | None = None
    env: CniSettings = CniSettings()
    decreased_seconds_ago: SecondsAgo | None = None
    refused_seconds_ago: SecondsAgo | None = None
    unmanaged_enis: Annotated[Whole, Field(ge=0)] = 0
    awaits_trunk: bool = False
    terminating: bool = False
    cordoned: bool = False
    subnet_free: Annotated[Whole, Field(ge=0)] | None = None


@dataclass(frozen=True)
class Asked:
    """A state as ipamD's own values."""

    rules: Settings
    store: DataStore
    conditions: Conditions
    subnet_free: int | None


def parse(text: str, file: str) -> Asked:
    """The data store, settings and conditions that a JSON text describes.

    Raises DescriptionError with file, line and key.
    """
    source = _read(text, file)
    try:
        state = TypeAdapter(IpamState).validate_python(source.data, by_alias=True, by_name=False)
    except ValidationError as error:
        mistake = mistakes.in_file(error, IpamState, source.data)
        raise mistake.error(file, source.line(mistake.path)) from error
    rules = _settings(state, Where(file, source.line(("instanceType",)), "instanceType"))
    for problem in _problems(state, rules):
        raise problem.error(file, source.line(problem.path))
    store = DataStore()
    for eni in state.enis:
        store = store.put(_eni(eni))
    return Asked(rules, store, _conditions(state), state.subnet_free)


def _read(text: str, file: str) -> document.Document:
    """A JSON object that remembers its lines: JSON is YAML, but for tabs between its tokens."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise DescriptionError(f"not JSON: {error.msg}", Where(file, error.lineno)) from error
    except RecursionError as error:
        raise DescriptionError("nested too deeply", Where(file)) from error
    if not isinstance(value, dict):
        raise DescriptionError(f"expected an object, found {found(value)}", Where(file, 1))
    return document.read(text.replace("\t", " "), file)


def _settings(state: IpamState, where: Where) -> Settings:
    node = Node("", "", state.instance_type, max_pods=state.max_pods)
    try:
        return settings(EksCluster("", "", (node,), profile=state.profile, env=state.env), node)
    except DescriptionError as unknown:
        raise DescriptionError(unknown.message, where) from unknown


def _conditions(state: IpamState) -> Conditions:
    return Conditions(
        decreased_at=_at(state.decreased_seconds_ago),
        refused_at=_at(state.refused_seconds_ago),
        unmanaged_enis=state.unmanaged_enis,
        awaited_trunks=int(state.awaits_trunk),
        terminating=state.terminating,
        cordoned=state.cordoned,
    )


def _at(seconds_ago: float | None) -> float:
    return LONG_AGO if seconds_ago is None else NOW - seconds_ago


def _eni(eni: EniState) -> PoolEni:
    prefixes = (
        Prefix(prefix.cidr, frozenset(prefix.assigned), _times(prefix.released))
        for prefix in sorted(eni.prefixes, key=lambda prefix: prefix.cidr)
    )
    return PoolEni(
        eni.id,
        eni.device_index,
        free=tuple(sorted({*eni.free, *eni.released})),
        assigned=frozenset(eni.assigned),
        released=_times(eni.released),
        prefixes=tuple(prefixes),
        attached_at=_at(eni.attached_seconds_ago),
        trunk=eni.trunk,
        efa=eni.efa,
        excluded=eni.excluded,
    )


def _times(released: Released) -> Released:
    return {address: NOW - ago for address, ago in released.items()}


def _problems(state: IpamState, rules: Settings) -> Problems:
    """What cannot be: twice the same, no eth0, more than EC2 gives an instance of this type."""
    for twice in duplicates(eni.id for eni in state.enis):
        yield Problem(("enis",), f"there are two ENIs {quoted(twice)}")
    for twice in duplicates(str(eni.device_index) for eni in state.enis):
        yield Problem(("enis",), f"two ENIs have the device index {twice}")
    if not any(eni.device_index == 0 for eni in state.enis):
        yield Problem(("enis",), "no ENI has the device index 0, and every node has eth0")
    for twice in duplicates(address for eni in state.enis for address in _addresses(eni)):
        yield Problem(("enis",), f"the address {twice} is there twice")
    for eni in state.enis:
        count = len({*eni.free, *eni.released}) + len(eni.assigned) + len(eni.prefixes)
        if count > rules.slots_per_eni:
            most = f"an ENI of {state.instance_type} has {rules.slots_per_eni}"
            message = f"{count} secondary addresses and prefixes; {most}"
            yield Problem(("enis", eni.id), message, "PrivateIpAddressLimitExceeded")
        for prefix in eni.prefixes:
            yield from _prefix(prefix, ("enis", eni.id, "prefixes", str(prefix.cidr)))


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
