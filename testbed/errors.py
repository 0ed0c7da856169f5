"""The exception tree; each class carries the exit code the command line ends with."""

from dataclasses import dataclass


class TestbedError(Exception):
    """Anything the testbed reports to its user in one message."""

    __test__ = False  # the name starts with "Test"; pytest must not collect it
    exit_code = 5


class CheckFailed(TestbedError):
    """A check ran and its answer was no."""

    exit_code = 1


class UsageError(TestbedError):
    """The command asks for something that is not there (a lab, a name, a kind)."""

    exit_code = 2


@dataclass(frozen=True)
class Where:
    """A place in a topology: the file, the line (from 1) and the key, as far as they are known."""

    file: str = ""
    line: int = 0
    key: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return ": ".join(part for part in (place, self.key) if part)


class DescriptionError(TestbedError):
    """The user's topology is wrong: where, what, and what was expected."""

    exit_code = 2

    def __init__(self, message: str, where: Where | None = None) -> None:
        self.message = message
        self.where = where or Where()
        super().__init__(f"{self.where}: {message}" if str(self.where) else message)


class AwsError(DescriptionError):
    """What AWS itself would refuse, with AWS's own error code (`InvalidSubnet.Conflict`)."""

    def __init__(self, code: str, message: str, where: Where | None = None) -> None:
        self.code = code
        super().__init__(f"{message} ({code})", where)


class IgnoredSetting(UserWarning):
    """A value of the topology that the real component logs and ignores."""


class Inconclusive(TestbedError):
    """A probe was blind, so the check has no answer."""

    exit_code = 3


class MissingFeature(TestbedError):
    """The kernel or the machine lacks what is needed."""

    exit_code = 4


class KernelError(TestbedError):
    """The kernel refused: which namespace, which fact, which errno."""

    exit_code = 5
