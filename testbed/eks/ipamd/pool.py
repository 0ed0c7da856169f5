"""Is ipamD's pool too low or too high, and by how much: the formulas, by mode and release.

They count addresses in cooldown as available.  Sources: amazon-vpc-cni-k8s v1.5.7
ipamd/ipamd.go, ipTargetState; v1.23.1 pkg/ipamd/ipamd.go, datastoreTargetState and its callers.
"""

from testbed.eks.ipamd.datastore.store import DataStore, PoolEni, Stats
from testbed.eks.ipamd.settings import Settings
from testbed.vpc.prefixes import PREFIX_SIZE

YOUNG_S = 60  # an ENI younger than that is not freed: minENILifeTime
ENI_COOLING_S = 60  # v1.5: nor one that lost a pod less than that ago, addressENICoolingPeriod


def short(stats: Stats, rules: Settings) -> int:
    """What the targets lack: addresses, or prefixes where those are delegated."""
    if not rules.targets_defined:
        lacking = rules.warm_prefix_target - stats.free_prefixes
        return max(lacking, 0) if rules.prefix_delegation else 0
    lacking = max(rules.warm_ip_target - stats.available, rules.minimum_ip_target - stats.total, 0)
    return _prefixes(lacking) if rules.prefix_delegation else lacking


def over(stats: Stats, rules: Settings) -> int:
    """What could go back to EC2: addresses, or prefixes where those are delegated."""
    if not rules.prefix_delegation:
        spare = max(stats.available - rules.warm_ip_target, 0)
        kept = max(min(spare, stats.total - rules.minimum_ip_target), 0)
        return kept if rules.targets_defined else 0
    if not rules.targets_defined:
        return max(stats.free_prefixes - rules.warm_prefix_target, 0)
    for_warm = _prefixes(stats.assigned + rules.warm_ip_target)
    for_minimum = _prefixes(rules.minimum_ip_target)
    spare = max(min(stats.free_prefixes, stats.prefixes - for_warm), 0)
    return max(min(spare, stats.prefixes - for_minimum), 0)


def too_low(stats: Stats, rules: Settings) -> bool:
    """Whether ipamD takes more."""
    if rules.era.caps_at_max_pods and stats.total >= rules.max_pods:
        return False
    if rules.targets_defined:
        return short(stats, rules) > 0
    units, size = warm(rules)
    if units == 0 and rules.era.refills_empty_pool:
        return stats.available == 0
    return stats.available < units * size


def too_high(stats: Stats, rules: Settings) -> bool:
    """Whether ipamD gives addresses or prefixes back; whole ENIs are another matter."""
    return over(stats, rules) > 0


def has_spare_eni(stats: Stats, store: DataStore, rules: Settings) -> bool:
    """Worth looking for an ENI to free: with targets always, else one more than is to be warm."""
    if rules.targets_defined:
        return True
    units, _ = warm(rules)
    if stats.available >= (units + 1) * rules.addresses_per_eni:
        return True
    return rules.prefix_delegation and any(_dispensable(eni) for eni in store.enis)


def warm(rules: Settings) -> tuple[int, int]:
    """How many units are to be kept free where no addresses are counted, and a unit's size."""
    if rules.prefix_delegation:
        return rules.warm_prefix_target, PREFIX_SIZE
    return rules.warm_eni_target, rules.addresses_per_eni


def wanted(stats: Stats, rules: Settings) -> int:
    """How many addresses or prefixes ipamD asks for, as far as there is room on an ENI."""
    lacking = short(stats, rules)
    if rules.prefix_delegation:
        return max(lacking, 1)
    return lacking if rules.targets_defined else rules.slots_per_eni


def deletable(store: DataStore, eni: PoolEni, rules: Settings, now: float) -> bool:
    """Whether this ENI can go: without pods, not young, not cooling, and nobody misses it."""
    if not _dispensable(eni) or now - eni.attached_at < YOUNG_S or _cooling(eni, rules, now):
        return False
    others = [other for other in store.enis if other.id != eni.id and not other.excluded]
    total = sum(_size(other, rules) for other in others)
    free = total - sum(_assigned(other, rules) for other in others)
    if free < _rounded(rules.warm_ip_target, rules):
        return False
    if total < _rounded(rules.minimum_ip_target, rules):
        return False
    unused = sum(len(other.freeable(prefixes=True)) for other in others)
    return not rules.prefix_delegation or unused >= rules.warm_prefix_target


def _dispensable(eni: PoolEni) -> bool:
    return not (eni.primary or eni.has_pods or eni.trunk or eni.efa)


def _cooling(eni: PoolEni, rules: Settings, now: float) -> bool:
    ago = now - eni.released_at()
    return ago < ENI_COOLING_S if rules.era.enis_cool_down else ago <= rules.cooldown_s


def _size(eni: PoolEni, rules: Settings) -> int:
    if rules.prefix_delegation:
        return PREFIX_SIZE * len(eni.prefixes)
    return len(eni.free) + len(eni.assigned)


def _assigned(eni: PoolEni, rules: Settings) -> int:
    if rules.prefix_delegation:
        return sum(len(prefix.assigned) for prefix in eni.prefixes)
    return len(eni.assigned)


def _rounded(target: int, rules: Settings) -> int:
    """A target in whole prefixes, where those are delegated."""
    return _prefixes(target) * PREFIX_SIZE if rules.prefix_delegation else target


def _prefixes(addresses: int) -> int:
    """How many prefixes hold so many addresses."""
    return -(-addresses // PREFIX_SIZE)
