"""Connection tracking entries, removed by kube-proxy's own program.  Needs CAP_NET_ADMIN."""

from collections.abc import Mapping, Sequence

from testbed.errors import KernelError
from testbed.kernel.namespaces.enter import entered
from testbed.kernel.namespaces.store import Descriptors, NamespaceStore
from testbed.kernel.programs.run import run

TIMEOUT_S = 10.0
NONE_DELETED = "0 flow entries have been deleted"  # its exit code is 1 then


def forget(store: NamespaceStore, commands: Mapping[str, Sequence[Sequence[str]]]) -> None:
    """Run each namespace's `conntrack -D …`, one after the other.

    Raises KernelError (the program's message), MissingFeature.
    """
    with Descriptors(store) as spaces:
        for name, own in commands.items():
            with entered(spaces.of(name)):
                for command in own:
                    _delete(name, command)


def _delete(name: str, command: Sequence[str]) -> None:
    result = run(command, timeout_s=TIMEOUT_S)
    if result.returncode and NONE_DELETED not in result.stderr:
        raise KernelError(f"{name}: {' '.join(command)}: {result.stderr.strip()}")
