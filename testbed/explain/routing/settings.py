"""The sysctls of one namespace, as its kernel combines them: of a device, of all, the default."""

from collections.abc import Iterable, Mapping

from testbed.net.facts import Sysctl

# What a setting is where no fact says it: Linux Documentation/networking/ip-sysctl.rst
KERNEL_DEFAULTS = {"send_redirects": 1}
FORWARDING = ("net.ipv4.ip_forward", "net.ipv4.conf.all.forwarding")
BRIDGE_CALLS_IPTABLES = "net.bridge.bridge-nf-call-iptables"


class Settings:
    """Values by name (state: an index, and the combined values asked for so far)."""

    def __init__(self, sysctls: Iterable[Sysctl]) -> None:
        self._values: Mapping[str, str] = {fact.name: fact.value for fact in sysctls}
        self._combined: dict[tuple[str, str], int] = {}

    def number(self, name: str, default: int = 0) -> int:
        """A sysctl that is a number."""
        value = self._values.get(name, "")
        return int(value) if value.lstrip("-").isdigit() else default

    def own(self, setting: str, dev: str) -> int:
        """A device's value: its own, else the default that it was made with."""
        default = KERNEL_DEFAULTS.get(setting, 0)
        inherited = self.number(f"net.ipv4.conf.default.{setting}", default)
        return self.number(f"net.ipv4.conf.{dev}.{setting}", inherited)

    def strictest(self, setting: str, dev: str) -> int:
        """The larger of conf/all and the device's: what counts for rp_filter and most others.

        linux/inetdevice.h: IN_DEV_MAXCONF; of what is on or off it is IN_DEV_ORCONF too.
        """
        found = self._combined.get((setting, dev))
        if found is None:
            default = KERNEL_DEFAULTS.get(setting, 0)
            everywhere = self.number(f"net.ipv4.conf.all.{setting}", default)
            found = self._combined[setting, dev] = max(everywhere, self.own(setting, dev))
        return found

    def forwards(self, dev: str) -> bool:
        """Whether packets that come in by a device may go on.  ip_forward sets all devices."""
        found = self._combined.get(("forwarding", dev))
        if found is None:
            names = (f"net.ipv4.conf.{dev}.forwarding", *FORWARDING)
            said = [name for name in names if name in self._values]
            found = self.number(said[0]) if said else self.own("forwarding", dev)
            self._combined["forwarding", dev] = found
        return bool(found)

    @property
    def bridge_calls_iptables(self) -> bool:
        """Whether bridged IPv4 passes iptables (br_netfilter)."""
        return self.number(BRIDGE_CALLS_IPTABLES) == 1
