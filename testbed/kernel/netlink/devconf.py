"""Sysctls that belong to one device: their names, and the numbers netlink knows them by.

A link's dump carries the values of all of them (IFLA_INET_CONF, IFLA_INET6_CONF), and the IPv4
ones may be set that way: no file below /proc/sys/net is opened, whose cost grows with every
namespace in which one ever was.
"""

import struct
from typing import NamedTuple

from testbed.net.facts import OF_DEVICE

# linux/ip.h: IPV4_DEVCONF_*, by the names of net/ipv4/devinet.c
IPV4_SETTINGS = {
    "forwarding": 1,
    "mc_forwarding": 2,
    "proxy_arp": 3,
    "accept_redirects": 4,
    "secure_redirects": 5,
    "send_redirects": 6,
    "shared_media": 7,
    "rp_filter": 8,
    "accept_source_route": 9,
    "bootp_relay": 10,
    "log_martians": 11,
    "tag": 12,
    "arp_filter": 13,
    "medium_id": 14,
    "disable_xfrm": 15,
    "disable_policy": 16,
    "force_igmp_version": 17,
    "arp_announce": 18,
    "arp_ignore": 19,
    "promote_secondaries": 20,
    "arp_accept": 21,
    "arp_notify": 22,
    "accept_local": 23,
    "src_valid_mark": 24,
    "proxy_arp_pvlan": 25,
    "route_localnet": 26,
    "igmpv2_unsolicited_report_interval": 27,
    "igmpv3_unsolicited_report_interval": 28,
    "ignore_routes_with_linkdown": 29,
    "drop_unicast_in_l2_multicast": 30,
    "drop_gratuitous_arp": 31,
    "bc_forwarding": 32,
    "arp_evict_nocarrier": 33,
}

# linux/ipv6.h: DEVCONF_*; the ones that a lab sets (amazon-vpc-cni, a router)
IPV6_SETTINGS = {
    "forwarding": 0,
    "accept_ra": 3,
    "accept_redirects": 4,
    "autoconf": 5,
    "proxy_ndp": 22,
    "disable_ipv6": 26,
}

# /proc does more with these than store the number (net/ipv4/devinet.c: devinet_sysctl_forward,
# DEVINET_SYSCTL_FLUSHING_ENTRY, devinet_conf_proc); netlink only stores it.
STORED_BY_PROC_ONLY = frozenset(
    {
        "forwarding",
        "mc_forwarding",
        "disable_xfrm",
        "disable_policy",
        "promote_secondaries",
        "route_localnet",
        "accept_local",
    }
)


class DeviceSetting(NamedTuple):
    """A device's sysctl, taken apart."""

    version: int  # of IP: 4, 6
    dev: str
    setting: str

    @property
    def settable(self) -> bool:
        """Whether netlink can set it with all its effects."""
        return (
            self.version == 4
            and self.setting in IPV4_SETTINGS
            and self.setting not in STORED_BY_PROC_ONLY
        )


def device_setting(name: str) -> DeviceSetting | None:
    """`net.ipv4.conf.eth0.rp_filter` taken apart; None for what is not of one device's `conf`."""
    match = OF_DEVICE.fullmatch(name)
    if not match or match["kind"] != "conf":
        return None
    return DeviceSetting(int(match["version"]), match["dev"], match["setting"])


def value(wanted: DeviceSetting, ipv4: bytes, ipv6: bytes) -> str | None:
    """A setting's value out of a link's two arrays of numbers; None when they do not hold it."""
    if wanted.version == 4:
        position = IPV4_SETTINGS.get(wanted.setting, 0) - 1  # the array begins with number 1
        numbers = ipv4
    else:
        position = IPV6_SETTINGS.get(wanted.setting, -1)
        numbers = ipv6
    if not 0 <= position < len(numbers) // 4:
        return None
    return str(struct.unpack_from("=i", numbers, 4 * position)[0])
