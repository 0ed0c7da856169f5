"""One spelling for what different versions of nft print for the same rule."""

import re

from testbed.net.netfilter.protocols import NUMBERS

# nft, src/datatype.c: icmp_code_tbl.  1.0.6 prints `icmp code frag-needed`, 1.1.3 `icmp code 4`
ICMP_CODES = {
    "0": "net-unreachable",
    "1": "host-unreachable",
    "2": "prot-unreachable",
    "3": "port-unreachable",
    "4": "frag-needed",
    "9": "net-prohibited",
    "10": "host-prohibited",
    "13": "admin-prohibited",
}
# and icmp_type_tbl, which all of them print
ICMP_TYPES = {
    0: "echo-reply",
    3: "destination-unreachable",
    4: "source-quench",
    5: "redirect",
    8: "echo-request",
    9: "router-advertisement",
    10: "router-solicitation",
    11: "time-exceeded",
    12: "parameter-problem",
    13: "timestamp-request",
    14: "timestamp-reply",
    15: "info-request",
    16: "info-reply",
    17: "address-mask-request",
    18: "address-mask-reply",
}
DSTNAT = -100  # linux/netfilter_ipv4.h: NF_IP_PRI_NAT_DST

_QUOTED = re.compile(r'("[^"]*")')
_ICMP_CODE = re.compile(r"\bicmp code (\d+)\b")
_FRAGMENT = re.compile(r"\bip frag-off & (0x[0-9a-f]+) != 0x0\b")
_PROTOCOL = re.compile(r"\bmeta l4proto ([a-z][\w.-]*|\d+)(?![\w.-])")
_OUTPUT_PRIORITY = re.compile(r"(?<=hook output priority )dstnat(?: ([+-] \d+))?")


def icmp_type(number: int) -> str:
    """A type as nft prints it."""
    return ICMP_TYPES.get(number, str(number))


def icmp_code(number: int) -> str:
    """A code as nft 1.0.6 prints it, whatever the type."""
    return ICMP_CODES.get(str(number), str(number))


def other_protocol(number: object) -> str:
    """A protocol that EC2 has no name for.  As a range: 1.0.6 prints it as it was written."""
    return f"meta l4proto {number}-{number}"


def canonical(line: str) -> str:
    """A rule or hook as nft 1.0.6 prints it, from what it or a newer one (1.0.9, 1.1.3) printed.

    All of them accept this spelling.
    """
    parts = _QUOTED.split(line)
    parts[::2] = [_unquoted(part) for part in parts[::2]]
    return "".join(parts)


def _unquoted(text: str) -> str:
    text = _ICMP_CODE.sub(lambda code: f"icmp code {ICMP_CODES.get(code[1], code[1])}", text)
    # header fields in hexadecimal: newer ones
    text = _FRAGMENT.sub(lambda mask: f"ip frag-off & {int(mask[1], 16)} != 0", text)
    # a range of one, which newer ones print as the one, by its name where the machine has it
    text = _PROTOCOL.sub(_protocol, text)
    # 1.0.6 prints the number, and refuses the name: "invalid priority expression value"
    text = _OUTPUT_PRIORITY.sub(lambda priority: str(DSTNAT + _offset(priority[1])), text)
    # the default, which 1.0.9 began to print: `limit rate 10/second burst 5 packets`
    return text.replace(" burst 5 packets", "")


def _protocol(found: re.Match[str]) -> str:
    known = found[1].isdigit() or found[1] in NUMBERS
    return other_protocol(NUMBERS.get(found[1], found[1])) if known else found[0]


def _offset(words: str | None) -> int:
    """`+ 10`, `- 1`, or nothing."""
    return int(words.replace(" ", "")) if words else 0
