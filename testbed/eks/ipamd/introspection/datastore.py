"""What ipamD tells of its data store: `curl http://localhost:61679/v1/enis` on a node.

The texts are as Go writes JSON: one line, the keys of a map in order.  Times are Go's zero: a lab
has no clock.  Servers' processes import this, so it needs nothing but Python.
Sources: amazon-vpc-cni-k8s v1.5.7 ipamd/introspect.go, v1.23.1 pkg/ipamd/introspect.go, and the
data stores that they marshal.
"""

import json
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any, Literal

from testbed.net.served.endpoints import Page

Json = dict[str, Any]

NEVER = "0001-01-01T00:00:00Z"  # Go's time.Time{}
NETWORK = "aws-cni"  # the network's name in the conflist
TEXT = (("Content-Type", "text/plain; charset=utf-8"),)  # what Go takes JSON for

Setting = tuple[str, bool | int | str | tuple[str, ...] | None]  # a variable and its value


@dataclass(frozen=True)
class HeldAddress:
    """A pod's address, and whose it is."""

    ip: IPv4Address
    namespace: str
    name: str
    sandbox: str


@dataclass(frozen=True)
class StoredEni:
    """An ENI in the data store.  addresses: the secondary ones.  table: its routing table."""

    id: str
    device_index: int
    table: int
    subnet_id: str
    addresses: tuple[IPv4Address, ...] = ()
    prefixes: tuple[IPv4Network, ...] = ()
    excluded: bool = False

    @property
    def cidrs(self) -> tuple[IPv4Network, ...]:
        """Prefixes, and each address as a range of its own."""
        return (*map(IPv4Network, self.addresses), *self.prefixes)


@dataclass(frozen=True, kw_only=True)
class Introspection:
    """One node's ipamD.

    eni_config: the name of the node's ENIConfig; eni_configs: each with its subnet and groups;
    eni_config_keys: of the annotation and of the label.  network, ipamd: settings in use.
    """

    profile: Literal["slides", "current"]
    eni_config: str
    eni_configs: tuple[tuple[str, str, tuple[str, ...]], ...]
    eni_config_keys: tuple[str, str]
    network: tuple[Setting, ...]
    ipamd: tuple[Setting, ...]
    enis: tuple[StoredEni, ...]
    pods: tuple[HeldAddress, ...]

    def page(self, path: str) -> Page:
        """The answer to a GET; a path that is not known lists those that are."""
        told = PATHS[self.profile]
        if path in told:
            return Page("200 OK", _json(told[path](self)), TEXT)
        return Page("200 OK", _json({"AvailableCommands": list(told)}), TEXT)

    def held(self, cidr: IPv4Network) -> list[HeldAddress]:
        """The pods' addresses in a range."""
        return [pod for pod in self.pods if pod.ip in cidr]


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _sorted(values: Iterable[tuple[str, Any]]) -> Json:
    return dict(sorted(values))


def _total(told: Introspection) -> int:
    return sum(cidr.num_addresses for eni in told.enis for cidr in eni.cidrs)


def _enis_then(told: Introspection) -> Json:
    """v1.5: the number of an ENI's table stands for its device, 0 for eth0."""
    return {
        "TotalIPs": _total(told),
        "AssignedIPs": len(told.pods),
        "ENIIPPools": _sorted((eni.id, _pool(told, eni)) for eni in told.enis),
    }


def _pool(told: Introspection, eni: StoredEni) -> Json:
    held = {pod.ip for pod in told.pods}
    return {
        "IsPrimary": eni.device_index == 0,
        "ID": eni.id,
        "DeviceNumber": _number_then(eni),
        "AssignedIPv4Addresses": len(held.intersection(eni.addresses)),
        "IPv4Addresses": _sorted(
            (str(ip), {"Address": str(ip), "Assigned": ip in held, "UnassignedTime": NEVER})
            for ip in eni.addresses
        ),
    }


def _number_then(eni: StoredEni) -> int:
    return eni.table if eni.device_index else 0


def _pods_then(told: Introspection) -> Json:
    numbers = {ip: _number_then(eni) for eni in told.enis for ip in eni.addresses}
    return _sorted(
        (
            f"{pod.name}_{pod.namespace}_{pod.sandbox}",
            {"IP": str(pod.ip), "DeviceNumber": numbers.get(pod.ip, 0)},
        )
        for pod in told.pods
    )


def _eni_configs_then(told: Introspection) -> Json:
    return {
        "ENI": _sorted(
            (name, {"securityGroups": groups or None, "subnet": subnet})
            for name, subnet, groups in told.eni_configs
        ),
        "MyENI": told.eni_config,
        "EniConfigAnnotationDef": told.eni_config_keys[0],
        "EniConfigLabelDef": told.eni_config_keys[1],
    }


def _enis(told: Introspection) -> Json:
    """By network card.  Nobody is told a pod's container: who knows it could release addresses."""
    card = {
        "TotalIPs": _total(told),
        "AssignedIPs": len(told.pods),
        "ENIs": _sorted((eni.id, _eni(told, eni)) for eni in told.enis),
    }
    return {"0": card}


def _eni(told: Introspection, eni: StoredEni) -> Json:
    return {
        "ID": eni.id,
        "IsPrimary": eni.device_index == 0,
        "IsTrunk": False,
        "IsEFA": False,
        "DeviceNumber": eni.device_index,
        "AvailableIPv4Cidrs": _sorted((str(cidr), _cidr(told, cidr)) for cidr in eni.cidrs),
        "IPv6Cidrs": {},
        "IsExcludedForPodIPs": eni.excluded,
        "RouteTableID": eni.table,
        "SubnetID": eni.subnet_id,
    }


def _cidr(told: Introspection, cidr: IPv4Network) -> Json:
    """Of its addresses those that pods have; a mask is bytes, which Go writes in base 64."""
    mask = b64encode(cidr.netmask.packed).decode()
    return {
        "Cidr": {"IP": str(cidr.network_address), "Mask": mask},
        "IPAddresses": _sorted((str(pod.ip), _address(pod)) for pod in told.held(cidr)),
        "IsPrefix": cidr.num_addresses > 1,
        "AddressFamily": "4",
    }


def _address(pod: HeldAddress) -> Json:
    return {
        "Address": str(pod.ip),
        "IPAMKey": {"networkName": NETWORK, "containerID": "", "ifName": ""},
        "IPAMMetadata": {
            "k8sPodNamespace": pod.namespace,
            "k8sPodName": pod.name,
            "interfacesCount": 1,
        },
        "AssignedTime": NEVER,
        "UnassignedTime": NEVER,
    }


def _network(told: Introspection) -> Json:
    return _sorted(told.network)


def _ipamd(told: Introspection) -> Json:
    return _sorted(told.ipamd)


PATHS: Mapping[str, Mapping[str, Callable[[Introspection], Any]]] = {
    "slides": {
        "/v1/enis": _enis_then,
        "/v1/eni-configs": _eni_configs_then,
        "/v1/pods": _pods_then,
        "/v1/networkutils-env-settings": _network,
        "/v1/ipamd-env-settings": _ipamd,
    },
    "current": {
        "/v1/enis": _enis,
        "/v1/eni-configs": lambda told: told.eni_config,
        "/v1/networkutils-env-settings": _network,
        "/v1/ipamd-env-settings": _ipamd,
    },
}
