"""What names, labels and addresses may be, by the API server's rules and in its words.

Source: kubernetes, staging/src/k8s.io/apimachinery/pkg/util/validation; pkg/apis/core/validation.
"""

import re
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network

from testbed.description.problem import LONGEST_LABEL, Path, Problem, Problems, quoted

LONGEST_PORT_NAME = 15  # IANA_SVC_NAME, RFC 6335
LONGEST_PREFIX = 253
LINK_LOCAL_MULTICAST = IPv4Network("224.0.0.0/24")

_PORT_NAME = re.compile(r"(?=[^a-z]*[a-z])[a-z0-9]+(-[a-z0-9]+)*")
_QUALIFIED = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_PREFIX = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


def port_name(path: Path, name: str) -> Problems:
    """Of a container's port, and of the target that a Service names by it (IsValidPortName)."""
    if len(name) > LONGEST_PORT_NAME:
        yield Problem(path, f"must be no more than {LONGEST_PORT_NAME} characters: {quoted(name)}")
    elif not _PORT_NAME.fullmatch(name):
        rule = 'use a-z, 0-9 and single "-" between them, with at least one letter'
        yield Problem(path, f"{quoted(name)} cannot be a port's name; {rule}")


def labels(path: Path, written: Mapping[str, str]) -> Problems:
    """Of labels and of selectors: what their keys and values may be (ValidateLabels)."""
    for key, value in written.items():
        prefix, slash, name = key.rpartition("/")
        known = not slash or (_PREFIX.fullmatch(prefix) and len(prefix) <= LONGEST_PREFIX)
        if not known or len(name) > LONGEST_LABEL or not _QUALIFIED.fullmatch(name):
            message = f"{quoted(key)} cannot be a label; an example: example.com/app"
            yield Problem((*path, key), message)
        elif value and (len(value) > LONGEST_LABEL or not _QUALIFIED.fullmatch(value)):
            rule = f'at most {LONGEST_LABEL} letters, digits, "-", "_" and "."'
            yield Problem((*path, key), f"{quoted(value)} cannot be a label's value; use {rule}")


def endpoint_address(path: Path, address: IPv4Address) -> Problems:
    """Of an endpoint that somebody wrote down (ValidateNonSpecialIP)."""
    if address.is_unspecified:
        yield Problem(path, "may not be unspecified (0.0.0.0)")
    elif address.is_loopback:
        yield Problem(path, "may not be in the loopback range (127.0.0.0/8)")
    elif address.is_link_local:
        yield Problem(path, "may not be in the link-local range (169.254.0.0/16)")
    elif address in LINK_LOCAL_MULTICAST:
        yield Problem(path, "may not be in the link-local multicast range (224.0.0.0/24)")
