"""ICMP types and codes as nft prints them in maps."""

from collections.abc import Iterator

from testbed.net.netfilter.spelling import icmp_code, icmp_type
from testbed.vpc.security.model import Range

CODES = 256  # of a type


def boxes(numbers: Range) -> Iterator[str]:
    """Types and their codes, for numbers that are type * 256 + code.

    `echo-request . 0-255`, `9-255 . 0-255`: a range of types has all codes, so the rest of a type
    before and behind such a range is apart.
    """
    first, last = numbers
    while first <= last:
        kind, code = divmod(first, CODES)
        full = (last + 1) // CODES - kind  # whole types from here on
        if code or full < 1:
            end = min(last, kind * CODES + CODES - 1)
            yield _box(Range(kind, kind), Range(code, end % CODES))
        else:
            end = (kind + full) * CODES - 1
            yield _box(Range(kind, kind + full - 1), Range(0, CODES - 1))
        first = end + 1


def _box(types: Range, codes: Range) -> str:
    kind = icmp_type(types.first) if types.first == types.last else str(types)
    code = icmp_code(codes.first) if codes.first == codes.last else str(codes)
    return f"{kind} . {code}"
