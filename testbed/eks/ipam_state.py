"""ipamD's data store and settings as JSON, and its decisions as JSON; pure.  See docs/ipam.md."""

import json
from dataclasses import asdict
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from testbed.description import STRICT, Ip, Whole, document, duplicates, mistakes, named
from testbed.description.problem import Problem, Problems, found, quoted
from testbed.eks.environment import CniSettings
from testbed.eks.ipamd import DataStore, Decision, PoolEni, Settings, choose, decide, settings
from testbed.eks.model import EksCluster, Profile
from testbed.errors import DescriptionError, Where
from testbed.kubernetes.model import Node

Json = dict[str, Any]


@dataclass(frozen=True, config=STRICT)
class EniState:
    """An attached ENI with its secondary addresses: those pods have, and the free ones.

    young: attached less than 60 s ago.
    """

    id: str
    device_index: Annotated[Whole, Field(ge=0)]
    free: tuple[Ip, ...] = ()
    assigned: tuple[Ip, ...] = ()
    young: bool = False


@dataclass(frozen=True, config=STRICT)
class IpamState:
    """A node's ipamD.  max_pods: kubelet's; none takes what the instance type allows."""

    instance_type: str
    enis: Annotated[tuple[EniState, ...], named("id")]
    profile: Profile = "current"
    max_pods: Annotated[Whole, Field(ge=0)] | None = None
    env: CniSettings = CniSettings()


def parse(text: str, file: str) -> tuple[DataStore, Settings]:
    """The data store and the settings that a JSON text describes.

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
    return _store(state), rules


def answer(store: DataStore, rules: Settings) -> Json:
    """What ipamD has, and what it does: about its pool, and for the next pod."""
    chosen = choose(store)
    return {
        "total": store.total,
        "assigned": store.assigned,
        "available": store.available,
        "limits": {
            "enis": rules.max_enis,
            "addressesPerEni": rules.addresses_per_eni,
            "maxPods": rules.max_pods,
        },
        "nextPod": {"eni": chosen[0].id, "address": str(chosen[1])} if chosen else None,
        "decision": _decision(decide(store, rules)),
    }


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


def _decision(decision: Decision | None) -> Json | None:
    """`{"action": "AssignAddresses", "eni": "eni-1", "count": 9}`; addresses are text."""
    if decision is None:
        return None
    values = asdict(decision)
    if "addresses" in values:
        values["addresses"] = [str(address) for address in values["addresses"]]
    return {"action": type(decision).__name__, **values}


def _settings(state: IpamState, where: Where) -> Settings:
    node = Node("", "", state.instance_type, max_pods=state.max_pods)
    try:
        return settings(EksCluster("", "", (node,), profile=state.profile, env=state.env), node)
    except DescriptionError as unknown:
        raise DescriptionError(unknown.message, where) from unknown


def _store(state: IpamState) -> DataStore:
    store = DataStore()
    for eni in state.enis:
        free, assigned = tuple(sorted(eni.free)), frozenset(eni.assigned)
        store = store.put(PoolEni(eni.id, eni.device_index, free, assigned, eni.young))
    return store


def _problems(state: IpamState, rules: Settings) -> Problems:
    """What cannot be: twice the same, no eth0, more than EC2 gives an instance of this type."""
    for twice in duplicates(eni.id for eni in state.enis):
        yield Problem(("enis",), f"there are two ENIs {quoted(twice)}")
    for twice in duplicates(str(eni.device_index) for eni in state.enis):
        yield Problem(("enis",), f"two ENIs have the device index {twice}")
    if not any(eni.device_index == 0 for eni in state.enis):
        yield Problem(("enis",), "no ENI has the device index 0, and every node has eth0")
    addresses = [address for eni in state.enis for address in (*eni.free, *eni.assigned)]
    for twice in duplicates(map(str, addresses)):
        yield Problem(("enis",), f"the address {twice} is there twice")
    for eni in state.enis:
        count, most = len(eni.free) + len(eni.assigned), rules.addresses_per_eni
        if count > most:
            message = f"{count} secondary addresses; an ENI of {state.instance_type} has {most}"
            yield Problem(("enis", eni.id), message, "PrivateIpAddressLimitExceeded")
