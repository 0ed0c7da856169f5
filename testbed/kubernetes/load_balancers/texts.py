"""What annotations' texts stand for.  Readers raise ValueError for what stands for nothing."""

import re
from collections.abc import Callable, Mapping
from ipaddress import IPv4Address
from typing import Any

from testbed.description.ports import MOST_PORT

Setting = Callable[[str], Mapping[str, Any]]  # the attributes that a text sets

# strconv.ParseBool
TRUTHS = {
    **dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True),
    **dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False),
}
ALL_BACKENDS = "*"

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?")
_CODES = re.compile(r"[2-5][0-9]{2}(-[2-5][0-9]{2})?")
_PATH = re.compile(r"/[A-Za-z0-9._~%/?=&:@+-]{0,1023}")


def sets(attribute: str, read: Callable[[str], Any]) -> Setting:
    """The setting of one attribute."""
    return lambda text: {attribute: read(text)}


def checked(read: Callable[[str], Any]) -> Setting:
    """The setting of none: the text has to be right, and changes nothing in a lab."""

    def nothing(text: str) -> Mapping[str, Any]:
        read(text)
        return {}

    return nothing


def attributes(known: Mapping[str, Setting]) -> Setting:
    """The settings of a list such as `a.b=true,c=1`."""

    def settings(text: str) -> Mapping[str, Any]:
        found: dict[str, Any] = {}
        for part in filter(None, map(str.strip, text.split(","))):
            name, equals, value = (word.strip() for word in part.partition("="))
            if not equals:
                raise ValueError(f'expected attributes such as "{next(iter(known))}=true"')
            if name not in known:
                followed = ", ".join(known)
                raise ValueError(
                    f'the attribute "{name}" is not enforced by the testbed; {followed} are'
                )
            try:
                found |= known[name](value)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error
        return found

    return settings


def internal(text: str) -> bool:
    """Any text but "false": older manifests have "0.0.0.0/0" there."""
    return text not in ("", "false")


def truth(text: str) -> bool:
    """As Go reads it."""
    if text not in TRUTHS:
        raise ValueError(f'expected "true" or "false", found "{text}"')
    return TRUTHS[text]


def all_backends(text: str) -> bool:
    """The one word of the PROXY protocol's annotation."""
    if text != ALL_BACKENDS:
        raise ValueError(f'the only value supported currently is "*", found "{text}"')
    return True


def between(first: int, last: int) -> Callable[[str], int]:
    """A whole number of these."""

    def number(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not first <= int(text) <= last:
            raise ValueError(f'expected a number from {first} to {last}, found "{text}"')
        return int(text)

    return number


def one_of(*known: str) -> Callable[[str], str]:
    """One of these words."""

    def word(text: str) -> str:
        if text not in known:
            choices = " or ".join(f'"{one}"' for one in known)
            raise ValueError(f'expected {choices}, found "{text}"')
        return text

    return word


def scheme(text: str) -> bool:
    """Whether it is internal."""
    return one_of("internal", "internet-facing")(text) == "internal"


def check_protocol(text: str) -> str:
    """In any letters."""
    return one_of("tcp", "http")(text.lower())


def check_port(text: str) -> int:
    """A number, or the words for the port that each target has: 0."""
    return 0 if text == "traffic-port" else between(1, MOST_PORT)(text)


def check_path(text: str) -> str:
    """Of an HTTP request; it becomes a word of haproxy's configuration."""
    if not _PATH.fullmatch(text):
        raise ValueError(f'expected a path such as "/healthz", found "{text}"')
    return text


def check_codes(text: str) -> str:
    """`200-399`, `200,301`: of an HTTP answer; they become words of haproxy's configuration."""
    parts = [part.strip() for part in text.split(",")]
    if not all(_CODES.fullmatch(part) and part[:3] <= part[-3:] for part in parts):
        raise ValueError(f'expected codes such as "200-399" or "200,301", found "{text}"')
    return ",".join(parts)


def addresses(text: str) -> tuple[IPv4Address, ...]:
    """A list of them."""
    try:
        return tuple(IPv4Address(part.strip()) for part in text.split(","))
    except ValueError as error:
        raise ValueError(f'expected addresses such as "10.0.1.9, 10.0.2.9": {error}') from error


def ports(text: str) -> tuple[str, ...]:
    """Numbers and names of ports, `443,admin`; `*` for all (getPortSets)."""
    found = tuple(part.strip() for part in text.split(","))
    if not all(found):
        raise ValueError(f'expected ports such as "443, admin" or "*", found "{text}"')
    return found


def names(text: str) -> tuple[str, ...]:
    """A list of names or ids."""
    found = tuple(part.strip() for part in text.split(","))
    if not all(found) or len(set(found)) < len(found):
        raise ValueError(f'expected different names such as "a, b", found "{text}"')
    return found


def labels(text: str) -> dict[str, str]:
    """A list such as `disk=ssd,zone=a`."""
    pairs = [part.partition("=") for part in filter(None, map(str.strip, text.split(",")))]
    if not pairs or not all(key and equals for key, equals, _ in pairs):
        raise ValueError(f'expected labels such as "disk=ssd", found "{text}"')
    return {key.strip(): value.strip() for key, _, value in pairs}


def balancer_name(text: str) -> str:
    """CreateLoadBalancer, "Name"."""
    if not _NAME.fullmatch(text) or text.startswith("internal-"):
        rule = 'at most 32 letters, digits and "-", which is neither first nor last'
        raise ValueError(f'expected {rule}; nor may it begin with "internal-": "{text}"')
    return text


def certificate(text: str) -> str:
    """Whatever names one: the lab makes one of its own for it."""
    if not text:
        raise ValueError("expected a certificate's ARN, found nothing")
    return text
