"""The verb `path`, asked of the kernels on the way."""

from collections.abc import Callable

from testbed.daemon.names import refuse_service, required
from testbed.daemon.process.protocol import Json
from testbed.daemon.questions.asking import called
from testbed.daemon.running import RunningLab
from testbed.probes.asked.path import path as trace_path


def path(
    running: RunningLab, progress: Callable[[str], None], *, source: str, destination: str
) -> Json:
    """The way from one place to another, hop by hop, as each kernel on it answers."""
    place, address = required(running, source), called(running, source, destination)
    refuse_service(running, address)
    return trace_path(running.store, running.state, place, address).to_json()
