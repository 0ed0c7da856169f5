"""The names of Services' chains and sets, which say what they are for: nft allows long ones."""

from base64 import b32encode
from hashlib import sha256

from testbed.services.endpoints import Backend
from testbed.services.kube_proxy.ports import ProxiedPort

HASH_LENGTH = 8
LONGEST = 240  # knftables.NameLengthMax (256) without the longest prefix


def port_base(port: ProxiedPort) -> str:
    """What the chains of a Service's port share: `ULMVA6XW-ns1/svc1/tcp/p80`."""
    return _hashed(_path(port))


def endpoint_base(port: ProxiedPort, backend: Backend) -> str:
    """The same of one of its endpoints: `5OJB2KTY-ns1/svc1/tcp/p80__10.180.0.1/80`."""
    return _hashed(f"{_path(port)}__{backend.ip}/{backend.port}")


def _path(port: ProxiedPort) -> str:
    """A port without a name leaves the last slash."""
    return f"{port.namespace}/{port.service}/{port.protocol}/{port.name.partition(':')[2]}"


def _hashed(text: str) -> str:
    """In front of it the first letters of its SHA-256 in base32 (hashAndTruncate)."""
    name = f"{b32encode(sha256(text.encode()).digest()).decode()[:HASH_LENGTH]}-{text}"
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 3]}..."
