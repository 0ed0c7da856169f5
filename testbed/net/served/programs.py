"""Programs that serve inside a lab, as values: what to run where, and how to know it is ready."""

from dataclasses import dataclass, field
from typing import Literal

DIRECTORY = "{dir}"  # in an argument: the directory the program's files are in

Transport = Literal["tcp", "udp"]


@dataclass(frozen=True, kw_only=True)
class Program:
    """A program in a network namespace, started in a directory that holds its files.

    listens, sockets: the ports, and the Unix sockets in its directory, that it is ready with.
    certificates: files there that hold one, self-signed, and whose.  `why` takes no part in
    equality.
    """

    netns: str
    name: str
    argv: tuple[str, ...]
    files: tuple[tuple[str, str], ...] = ()
    certificates: tuple[tuple[str, str], ...] = ()
    listens: tuple[tuple[Transport, int], ...] = ()
    sockets: tuple[str, ...] = ()
    why: str = field(default="", compare=False, repr=False)

    @property
    def key(self) -> tuple[str, str]:
        """What makes it this program; one whose other values changed is started anew."""
        return self.netns, self.name
