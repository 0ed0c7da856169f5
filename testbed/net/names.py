"""Names and addresses that are made, not chosen: MACs, device names, ids; stable and short."""

from hashlib import sha1

IFNAMSIZ = 15  # characters a device name may have: linux/if.h less the final NUL


def digest(*parts: str, length: int) -> str:
    """The first `length` hexadecimal digits of the parts' SHA-1."""
    return sha1(".".join(parts).encode(), usedforsecurity=False).hexdigest()[:length]


def mac(*parts: str) -> str:
    """A locally administered unicast MAC that stands for these names, as EC2's are."""
    digits = digest("mac", *parts, length=10)
    return ":".join(["02", *[digits[i : i + 2] for i in range(0, 10, 2)]])


def device(text: str) -> str:
    """`text` as a device name: itself where 15 characters hold it, else shortened and hashed."""
    if len(text) <= IFNAMSIZ:
        return text
    return f"{text[:8]}-{digest(text, length=6)}"
