"""What different versions of nft print for one rule."""

import pytest

from testbed.net.netfilter.spelling import canonical


@pytest.mark.parametrize(
    ("newer", "older"),
    [
        ("type nat hook output priority dstnat;", "type nat hook output priority -100;"),
        ("type nat hook output priority dstnat + 10;", "type nat hook output priority -90;"),
        ("type nat hook output priority dstnat - 1;", "type nat hook output priority -101;"),
        (
            "type nat hook prerouting priority dstnat + 10;",
            "type nat hook prerouting priority dstnat + 10;",
        ),
        (
            "icmp type destination-unreachable icmp code 4 accept",
            "icmp type destination-unreachable icmp code frag-needed accept",
        ),
        ("ip frag-off & 0x3fff != 0x0 drop", "ip frag-off & 16383 != 0 drop"),
        ("icmp code 99 accept", "icmp code 99 accept"),
        ("meta l4proto esp goto in/web/50", "meta l4proto 50-50 goto in/web/50"),
        ("meta l4proto 253 accept", "meta l4proto 253-253 accept"),
        ("meta l4proto ax.25 accept", "meta l4proto 93-93 accept"),
        ("meta l4proto ipv6-icmp drop", "meta l4proto 58-58 drop"),
        ("meta l4proto tcp accept", "meta l4proto tcp accept"),
        ("meta l4proto 50-51 accept", "meta l4proto 50-51 accept"),
        ("meta l4proto . th dport vmap @a", "meta l4proto . th dport vmap @a"),
        ("meta l4proto { tcp, udp } drop", "meta l4proto { tcp, udp } drop"),
        ("limit rate 10/second burst 5 packets accept", "limit rate 10/second accept"),
        ("limit rate 9/second burst 7 packets drop", "limit rate 9/second burst 7 packets drop"),
    ],
)
def test_what_newer_versions_print_is_read_as_what_1_0_6_prints(newer: str, older: str) -> None:
    """1.0.9 and 1.1.3 take the older spelling too; 1.0.6 does not take the newer one."""
    assert canonical(newer) == older
    assert canonical(older) == older


def test_what_stands_inside_quotes_stays() -> None:
    """Comments and device names are the user's words."""
    rule = 'log prefix "icmp code 4" counter drop comment "at burst 5 packets"'

    assert canonical(rule) == rule
