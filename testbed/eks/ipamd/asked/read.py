"""ipamD's data store and settings as JSON, read and checked.  Pure.  See docs/ipam.md."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address

from pydantic import TypeAdapter, ValidationError

from testbed.description import document, mistakes
from testbed.description.problem import found
from testbed.eks.ipamd.asked.checks import cidr, problems
from testbed.eks.ipamd.asked.state import EniState, IpamState, ListedState
from testbed.eks.ipamd.daemon import Conditions
from testbed.eks.ipamd.datastore.store import LONG_AGO, DataStore, PoolEni, Prefix
from testbed.eks.ipamd.managed import managed_by_tags
from testbed.eks.ipamd.reconcile import INTERVAL_S, Attached, Cidrs, Listed
from testbed.eks.ipamd.settings import Settings, settings
from testbed.eks.model import EksCluster
from testbed.eks.profiles import ERAS
from testbed.errors import DescriptionError, Where
from testbed.kubernetes.model import Node

NOW = 0.0  # everything in a state is so many seconds ago


@dataclass(frozen=True)
class Asked:
    """A state as ipamD's own values.

    attached: what to reconcile with, if that is asked; reconciles: the pool has been at rest.
    """

    rules: Settings
    store: DataStore
    conditions: Conditions
    subnet_free: int | None
    attached: Attached | None
    reconciles: bool
    unmanaged: tuple[str, ...]  # the ENIs that ipamD leaves alone


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
    for problem in problems(state, rules):
        raise problem.error(file, source.line(problem.path))
    left = [eni for eni in state.enis if not _managed(state, eni)]
    store = DataStore()
    for eni in state.enis:
        store = store if eni in left else store.put(_eni(eni))
    return Asked(
        rules,
        store,
        # those of other network cards count against other limits
        _conditions(state, sum(eni.network_card == 0 for eni in left)),
        state.subnet_free,
        attached=None if state.imds is None else _attached(state, state.imds),
        reconciles=NOW - _at(state.acted_seconds_ago) > INTERVAL_S,
        unmanaged=tuple(eni.id for eni in left),
    )


def _managed(state: IpamState, eni: EniState) -> bool:
    """Whether an ENI is ipamD's; v1.5 takes all of them."""
    if eni.primary or not ERAS[state.profile].leaves_enis:
        return eni.network_card == 0
    if eni.efa_only or eni.network_card:  # ENABLE_MULTI_NIC is refused
        return False
    return managed_by_tags(eni.tags, state.instance_id, untagged=state.env.manage_untagged)


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


def _conditions(state: IpamState, left_alone: int) -> Conditions:
    return Conditions(
        decreased_at=_at(state.decreased_seconds_ago),
        refused_at=_at(state.refused_seconds_ago),
        unmanaged_enis=state.unmanaged_enis + left_alone,
        awaited_trunks=int(state.awaits_trunk),
        terminating=state.terminating,
        cordoned=state.cordoned,
    )


def _attached(state: IpamState, imds: tuple[ListedState, ...]) -> Attached:
    truth = imds if state.ec2 is None else state.ec2
    returned = {cidr(written): NOW - ago for written, ago in state.returned.items()}
    left = {eni.id for eni in state.enis if not _managed(state, eni)}
    listed = [one for one in imds if one.id not in left]
    return Attached(
        imds=tuple(Listed(one.id, one.device_index, _cidrs(one)) for one in listed),
        ec2=None if state.ec2_fails else {one.id: _cidrs(one) for one in truth},
        returned={one: at for one, at in returned.items() if one is not None},
    )


def _cidrs(listed: ListedState) -> Cidrs:
    return frozenset([*listed.addresses, *listed.prefixes])


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


def _times(released: Mapping[IPv4Address, float]) -> dict[IPv4Address, float]:
    return {address: NOW - ago for address, ago in released.items()}
