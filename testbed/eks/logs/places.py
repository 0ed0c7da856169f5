"""Where a node's logs are, and how they are spelt, by the settings that say so.

/var/log/aws-routed-eni/ipamd.log               AWS_VPC_K8S_CNI_LOG_FILE, without its /host
/var/log/aws-routed-eni/plugin.log              AWS_VPC_K8S_PLUGIN_LOG_FILE
/var/log/pods/kube-system_aws-node/aws-node/0.log    ipamD's stdout and stderr
"""

import posixpath
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from testbed.eks.environment import CniSettings
from testbed.eks.logs.line import (
    SEVERITY,
    Line,
    least_of_seelog,
    least_of_zap,
    milliseconds,
    seelog,
    zap,
)
from testbed.eks.model import Profile

IPAMD_LOG = "/host/var/log/aws-routed-eni/ipamd.log"
PLUGIN_LOG = "/var/log/aws-routed-eni/plugin.log"
OF_NODE = "/host/var/log/"  # of the container's files those that are the node's
HOST = "/host"
CONTAINER = "/run/containers/aws-node"  # all others, which end with the container
STDOUT, STDERR = "stdout", "stderr"
POD_LOG = "/var/log/pods/kube-system_aws-node/aws-node/0.log"  # really with the pod's name and uid


@dataclass(frozen=True)
class Place:
    """A log of a node.

    path: on the node, absolute and without `..`.  least: the severity below which nothing is
    written.  stream: of a container's output, else empty.
    """

    path: str
    least: int
    spell: Callable[[Line, str], str]
    stream: str = ""

    def text(self, lines: Iterable[Line], at: datetime) -> str:
        """What is appended for these lines, all written at one time."""
        return "".join(self._spelt(lines, at))

    def _spelt(self, lines: Iterable[Line], at: datetime) -> Iterator[str]:
        prefix = f"{_nanoseconds(at)} {self.stream} F " if self.stream else ""
        time = milliseconds(at)
        for line in lines:
            if SEVERITY[line.level] >= self.least:
                yield prefix + self.spell(line, time)


def ipamd_place(profile: Profile, env: CniSettings) -> Place:
    """Where ipamD writes; v1.5 knows no `stderr`, and `stdout` in small letters only."""
    given = env.log_file or IPAMD_LOG
    if profile == "slides":
        stream = STDOUT if given == STDOUT else ""
        least, spell = least_of_seelog(env.log_level), seelog
    else:
        stream = given.lower() if given.lower() in (STDOUT, STDERR) else ""
        least, spell = least_of_zap(env.log_level), zap
    return Place(POD_LOG if stream else _of_container(given), least, spell, stream)


def plugin_place(profile: Profile, env: CniSettings) -> Place | None:
    """Where the plugin writes; None: to its standard error, which the container runtime keeps.

    v1.5's has none of aws-node's environment: always the same file, from level `info`.
    """
    if profile == "slides":
        return Place(PLUGIN_LOG, least_of_seelog(""), seelog)
    given = env.plugin_log_file
    if given.lower() in ("", STDERR):
        return None
    return Place(_absolute(given), least_of_zap(env.plugin_log_level), zap)


def _of_container(path: str) -> str:
    absolute = _absolute(path)
    if absolute.startswith(OF_NODE):
        return absolute.removeprefix(HOST)
    return CONTAINER + absolute


def _absolute(path: str) -> str:
    return posixpath.normpath("/" + path.lstrip("/"))


def _nanoseconds(at: datetime) -> str:
    """As the container runtime writes times: kubernetes, CRI log format."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z"
