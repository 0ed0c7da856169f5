"""Other processes, and what they have open."""

import errno
import os

import pytest

from testbed.kernel.machine.processes import descriptor_of


def test_a_descriptor_of_another_process_is_copied_without_its_name() -> None:
    """The same open file; it stays when the other process closes its own."""
    reading, writing = os.pipe()
    process = os.pidfd_open(os.getpid())
    copy = descriptor_of(process, writing)
    os.close(writing)

    os.write(copy, b"here")

    assert os.read(reading, 16) == b"here"
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        descriptor_of(process, writing)
    for descriptor in (copy, reading, process):
        os.close(descriptor)
