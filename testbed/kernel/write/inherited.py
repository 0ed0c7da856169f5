"""Sysctls that new devices are made with, by `conf/default`.  Needs CAP_SYS_ADMIN.

Netlink sets no IPv6 value of a device, and a write below /proc/sys/net takes up to 1 ms where
many namespaces are.  Thirty pods' veths get theirs by two writes instead of thirty.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from testbed.kernel import sysctl
from testbed.kernel.namespaces.enter import entered
from testbed.kernel.namespaces.store import Descriptors
from testbed.kernel.netlink.devconf import device_setting
from testbed.net.drift.changes import LinkName
from testbed.net.facts import Sysctl

Settings = Mapping[str, Sequence[Sysctl]]  # by namespace


class Shared(NamedTuple):
    """A value that most of the devices about to be made in a namespace shall have."""

    default: str  # net.ipv6.conf.default.accept_ra
    value: str
    facts: frozenset[Sysctl]  # of those devices
    others: tuple[str, ...]  # the same sysctl of new devices of which nothing is said

    @property
    def saves(self) -> bool:
        """Whether fewer writes are needed: of the default, its old value, and for the others."""
        return len(self.facts) > 2 + len(self.others)


@contextmanager
def inherited(
    spaces: Descriptors, wanted: Settings, new: Iterable[LinkName]
) -> Iterator[dict[str, list[Sysctl]]]:
    """Devices made in this context come with what is wanted; what is left to write afterwards.

    The defaults are then as they were found.  Raises KernelError.
    """
    devices: dict[str, list[str]] = {}
    for ns, dev in new:
        devices.setdefault(ns, []).append(dev)
    left: dict[str, list[Sysctl]] = {}
    with ExitStack() as undo:
        for ns, facts in wanted.items():
            left[ns] = list(facts)
            for one in shared(facts, devices.get(ns, ())):
                netns = spaces.of(ns)
                left[ns] = _offer(one, ns, netns, left[ns], undo)
        yield left


def shared(facts: Iterable[Sysctl], new: Iterable[str]) -> Iterator[Shared]:
    """The values worth a write of their default, for the new devices of one namespace; pure."""
    devices = frozenset(new)
    values: dict[tuple[int, str], dict[str, dict[str, Sysctl]]] = {}
    for fact in facts:
        setting = device_setting(fact.name)
        if setting and setting.dev in devices:
            those = values.setdefault((setting.version, setting.setting), {})
            those.setdefault(fact.value, {})[setting.dev] = fact
    for (version, name), by_value in values.items():
        told = frozenset(dev for those in by_value.values() for dev in those)
        value, most = max(by_value.items(), key=lambda item: len(item[1]))
        one = Shared(
            default=f"net.ipv{version}.conf.default.{name}",
            value=value,
            facts=frozenset(most.values()),
            others=tuple(f"net.ipv{version}.conf.{dev}.{name}" for dev in devices - told),
        )
        if one.saves:
            yield one


def _offer(
    one: Shared, ns: str, netns: int, left: Iterable[Sysctl], undo: ExitStack
) -> list[Sysctl]:
    """The default set, unless it is so already (or IPv6 is not there): what is left to write."""
    rest = [fact for fact in left if fact not in one.facts]
    with entered(netns):
        found = sysctl.read(one.default)
        if found in (None, one.value):
            return rest
        undo.callback(_write, netns, Sysctl(ns=ns, name=one.default, value=found))
        sysctl.write_all([Sysctl(ns=ns, name=one.default, value=one.value)])
    return rest + [Sysctl(ns=ns, name=name, value=found) for name in one.others]


def _write(netns: int, fact: Sysctl) -> None:
    with entered(netns):
        sysctl.write_all([fact])
