"""ENIs, stores and settings of an m5.large, short to write."""

from ipaddress import IPv4Address, IPv4Network
from typing import Any

from testbed.eks.ipamd.asked.grants import Grants
from testbed.eks.ipamd.daemon import Conditions, Ipamd
from testbed.eks.ipamd.datastore.store import DataStore, PoolEni, Prefix
from testbed.eks.ipamd.decisions import Decision, Refusal
from testbed.eks.ipamd.settings import Settings
from testbed.eks.model import Profile
from testbed.eks.profiles import ERAS

NOW = 1000.0


def m5_large(profile: Profile = "current", **changed: Any) -> Settings:
    """Three ENIs of nine secondary addresses, targets as the manifest has them."""
    values: dict[str, Any] = {
        "warm_eni_target": 1,
        "warm_ip_target": 0,
        "minimum_ip_target": 0,
        "warm_prefix_target": 1,
        "max_enis": 3,
        "slots_per_eni": 9,
        "max_pods": 29,
    }
    era = ERAS[profile]
    discovery = {"subnet_discovery": era.discovers_subnets}
    return Settings(era=era, **(values | discovery | changed))


def prefixed(**changed: Any) -> Settings:
    """The same with prefixes: nine of sixteen addresses on each ENI, 110 pods."""
    return m5_large(prefix_delegation=True, **({"max_pods": 110} | changed))


def eni(index: int, total: int, assigned: int = 0, **more: Any) -> PoolEni:
    """`eni-INDEX` with addresses 10.0.INDEX.1 to .TOTAL; pods have the first ones."""
    addresses = [IPv4Address(f"10.0.{index}.{last}") for last in range(1, total + 1)]
    taken = frozenset(addresses[:assigned])
    return PoolEni(f"eni-{index}", index, tuple(addresses[assigned:]), taken, **more)


def blocks(index: int, *assigned: int, **more: Any) -> PoolEni:
    """`eni-INDEX` with a prefix for each number, from 10.1.INDEX.0/28 on; so many have pods."""
    prefixes = tuple(
        Prefix(cidr, frozenset(cidr[j] for j in range(count)))
        for i, count in enumerate(assigned)
        for cidr in [IPv4Network(f"10.1.{index}.{16 * i}/28")]
    )
    return PoolEni(f"eni-{index}", index, prefixes=prefixes, **more)


def store(*enis: PoolEni) -> DataStore:
    return DataStore(enis)


def run_pass(
    pool: DataStore, rules: Settings, free: int | None = None, **conditions: Any
) -> list[Decision | Refusal]:
    """What one pass asks.  free: addresses the subnet has left; none never refuses."""
    return Ipamd(rules, pool, Grants(free), Conditions(**conditions)).run_pass(NOW)
