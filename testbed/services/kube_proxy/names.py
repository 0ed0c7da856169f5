"""The names of kube-proxy's chains: a hash each, because iptables allows 28 characters."""

from hashlib import sha256
from itertools import product
from typing import Literal

from testbed.kubernetes.kube_proxy import Era

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"  # RFC 4648, section 6
PAIRS = tuple(first + second for first, second in product(ALPHABET, ALPHABET))

# SVC chooses any endpoint, SVL one of the node itself, EXT sorts what comes from outside, FW
# checks a load balancer's clients; XLB was SVL and EXT in one until 1.23
Kind = Literal["SVC", "SVL", "EXT", "FW", "XLB"]


def port_name(era: Era, namespace: str, service: str, port: str) -> str:
    """A Service's port as rules' comments name it: `default/web:http`.

    Where the port has no name the colon stays up to Kubernetes 1.18, `default/web:`; since 1.19 it
    goes, and all chains of the Service have other names.
    """
    colon = ":" if port or era == "1.14" else ""
    return f"{namespace}/{service}{colon}{port}"


def service_chain(kind: Kind, port: str, protocol: str) -> str:
    """A chain of a Service's port; those of one port differ in their kind only.

    port: its `port_name`.
    """
    return f"KUBE-{kind}-{port_hash(port, protocol)}"


def port_hash(port: str, protocol: str) -> str:
    """What the names of a port's chains share."""
    return _hash(port + protocol.lower())


def endpoint_chain(port: str, protocol: str, endpoint: str) -> str:
    """The chain that translates to one endpoint, `10.0.1.5:80`, of a Service's port."""
    return f"KUBE-SEP-{_hash(f'{port}{protocol.lower()}{endpoint}')}"


def _hash(text: str) -> str:
    """The first 16 letters of its SHA-256 in base32 (kubernetes, pkg/proxy/iptables/proxier.go).

    They are 80 bits, ten for each pair; three times as fast as base64.b32encode.
    """
    bits = int.from_bytes(sha256(text.encode()).digest()[:10])
    return "".join([PAIRS[bits >> shift & 1023] for shift in range(70, -1, -10)])
