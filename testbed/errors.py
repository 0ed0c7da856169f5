"""The exception tree; each class carries the exit code the command line ends with."""

import errno
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

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.message, self.where), self.__dict__  # by pickle


class AwsError(DescriptionError):
    """What AWS itself would refuse, with AWS's own error code (`InvalidSubnet.Conflict`)."""

    def __init__(self, code: str, message: str, where: Where | None = None) -> None:
        self.code = code
        self.refusal = message
        super().__init__(f"{message} ({code})", where)

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.code, self.refusal, self.where), self.__dict__


class IgnoredSetting(UserWarning):
    """A value of the topology that the real component logs and ignores."""


class Inconclusive(TestbedError):
    """A probe was blind, so the check has no answer."""

    exit_code = 3


class MissingFeature(TestbedError):
    """The kernel or the machine lacks what is needed."""

    exit_code = 4


class NoDaemon(MissingFeature):
    """Nobody answers for a lab: its daemon has ended, or a signal has stopped it."""


class KernelError(TestbedError):
    """The kernel refused: which namespace, which fact, which errno."""

    exit_code = 5


NO_THREAD = "can't start new thread"  # CPython's words for EAGAIN of clone(2)
NO_MAPPING = "failed to map segment"  # glibc's words for ENOMEM of mmap(2), for a module in C
REMEDIES = {  # what a limit is called, and who can move it; errno(3)
    errno.ENOSPC: "no space is left: free some, or make the file system larger",
    errno.EFBIG: "a file would be larger than this process may write: raise `ulimit -f`",
    errno.EDQUOT: "a quota is used up",
    errno.EROFS: "the file system is read-only",
    errno.EMFILE: "too many open descriptors: raise `ulimit -Hn`, or LimitNOFILE= of the service",
    errno.ENFILE: "the machine has too many open files: raise the sysctl fs.file-max",
    errno.ENOMEM: "the memory does not suffice",
    errno.EAGAIN: "no process or thread more is allowed: raise `ulimit -Hu`, or the memory",
}


def told(error: Exception, what: str = "") -> TestbedError:
    """Any exception as an error of ours; one that nobody has thought of says where it arose.

    what: that was to be done, in words.  MissingFeature where a limit is in the way.
    """
    match error:
        case TestbedError():
            return error
        case MemoryError() | ImportError() if _of_memory(error):
            return MissingFeature(_sentence(what, REMEDIES[errno.ENOMEM]))
        case RuntimeError() if str(error) == NO_THREAD:
            return MissingFeature(_sentence(what, REMEDIES[errno.EAGAIN]))
        case OSError():
            about = _sentence(what, str(error.filename or ""))
            if reason := REMEDIES.get(error.errno or 0):
                return MissingFeature(_sentence(about, reason))
            return KernelError(_sentence(about, error.strerror or str(error)))
    place = error.__traceback__
    while place and place.tb_next:
        place = place.tb_next
    where = f" at {place.tb_frame.f_code.co_filename}:{place.tb_lineno}" if place else ""
    words = " ".join(str(error).split())
    return TestbedError(_sentence(what, f"{type(error).__name__}: {words}{where} (a bug)"))


def _of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or NO_MAPPING in str(error)


def printable(text: str) -> str:
    """The text with escapes for what would move a terminal's cursor, colour it, or turn its lines.

    Ends of lines stay, and letters of all languages.
    """
    return "".join(one if one.isprintable() or one == "\n" else _escape(one) for one in text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()


def _sentence(about: str, reason: str) -> str:
    return ": ".join(part for part in (about, reason) if part)
