"""The names of kube-proxy's chains: a hash each, because iptables allows 28 characters."""

from base64 import b32encode
from hashlib import sha256
from ipaddress import IPv4Address
from typing import Literal

LENGTH = 16  # characters of the hash: kubernetes v1.14, pkg/proxy/iptables/proxier.go

Kind = Literal["SVC", "FW", "XLB"]


def port_name(namespace: str, service: str, port: str) -> str:
    """A Service's port as rules' comments name it: `default/web:http`.

    The colon stays behind the name of a Service whose port has none, `default/web:`, up to
    Kubernetes 1.18.
    """
    return f"{namespace}/{service}:{port}"


def service_chain(kind: Kind, port: str, protocol: str) -> str:
    """The chain of a Service's port; those of one port differ in their kind only.

    SVC chooses an endpoint, FW checks a load balancer's clients, XLB has the node's own endpoints.
    port: its `port_name`.
    """
    return f"KUBE-{kind}-{_hash(port + protocol.lower())}"


def endpoint_chain(port: str, protocol: str, ip: IPv4Address, number: int) -> str:
    """The chain that translates to one endpoint of a Service's port."""
    return f"KUBE-SEP-{_hash(f'{port}{protocol.lower()}{ip}:{number}')}"


def _hash(text: str) -> str:
    return b32encode(sha256(text.encode()).digest()).decode()[:LENGTH]
