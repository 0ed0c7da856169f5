"""One line of a log, and how each era's logger spells it.

    {"level":"info","ts":"2026-11-29T07:20:06.123Z","caller":"ipamd/ipamd.go:475","msg":"…"}
    2026-11-29T07:20:06.123Z [INFO]	…

Sources: amazon-vpc-cni-k8s v1.23.1, pkg/utils/logger (zap's production encoder with ISO 8601
times; it skips one frame too many, so `caller` is who called the function that logs); v1.5.7,
pkg/utils/logger (seelog, which knows no caller).
"""

from datetime import UTC, datetime
from json.encoder import encode_basestring
from typing import NamedTuple

DEBUG, INFO, WARN, ERROR = "debug", "info", "warn", "error"
SEVERITY = {DEBUG: 0, INFO: 1, WARN: 2, ERROR: 3, "fatal": 4}
SEELOG = {"trace": 0, DEBUG: 0, INFO: 1, WARN: 2, ERROR: 3, "critical": 4, "off": 5}


class Line(NamedTuple):
    """What is said, how grave it is, and who called whom to say it: `dir/file.go:line`."""

    level: str
    message: str
    caller: str = ""


def zap(line: Line, at: str) -> str:
    """The line as v1.23 writes it, with its end.  at: as `milliseconds` writes it."""
    message = encode_basestring(line.message)
    head = f'{{"level":"{line.level}","ts":"{at}","caller":"{line.caller}"'
    return f'{head},"msg":{message}}}\n'


def seelog(line: Line, at: str) -> str:
    """The line as v1.5 writes it, with its end."""
    return f"{at} [{line.level.upper()}]\t{line.message}\n"


def least_of_zap(level: str) -> int:
    """The least severity that is written; a level that is none is `debug`."""
    return SEVERITY.get(level.lower(), SEVERITY[DEBUG])


def least_of_seelog(level: str) -> int:
    """The same for v1.5; a level that is none is `info`."""
    return SEELOG.get(level.lower(), SEELOG[INFO])


def milliseconds(at: datetime) -> str:
    """A time as both write it: `2026-11-29T07:20:06.123Z`."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"
