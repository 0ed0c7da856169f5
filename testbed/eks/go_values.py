"""Texts of variables as the CNI's Go code reads them.  All raise ValueError: what was expected."""

import re

# strconv.ParseBool
BOOLEANS = dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True) | dict.fromkeys(
    ("0", "f", "F", "FALSE", "false", "False"), False
)
# strconv.ParseInt with base 0: 128, 0x80, 0o200, 0200, 0b1000_0000
GO_INTEGER = r"0[xX]_?[0-9a-fA-F]+(_[0-9a-fA-F]+)*|0[bB]_?[01]+(_[01]+)*"
GO_INTEGER += r"|0[oO]?_?[0-7]+(_[0-7]+)*|[1-9][0-9]*(_[0-9]+)*|0"
LARGEST_INTEGER = 2**63
LARGEST_MARK = 0xFFFFFFFF
MARK = f"a number from 1 to {LARGEST_MARK:#x}"


def boolean(text: str) -> bool:
    """strconv.ParseBool."""
    if text not in BOOLEANS:
        raise ValueError("true or false")
    return BOOLEANS[text]


def mark(text: str) -> int:
    """A packet's mark: strconv.ParseInt with base 0."""
    if not re.fullmatch(GO_INTEGER, text):
        raise ValueError(MARK)
    number = int(re.sub("^0(?=[0-7_])", "0o", text), 0)
    if not 0 < number <= LARGEST_MARK:
        raise ValueError(MARK)
    return number


def whole_number(text: str) -> int:
    """strconv.Atoi."""
    if not re.fullmatch(r"[+-]?[0-9]+", text) or not abs(int(text)) < LARGEST_INTEGER:
        raise ValueError("a whole number")
    return int(text)


def target(text: str) -> int:
    """A whole number that is not negative."""
    number = whole_number(text)
    if number < 0:
        raise ValueError("a number from 0")
    return number
