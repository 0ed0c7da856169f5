"""Time stamps of packets, which the kernel makes only while somebody wants them."""

import os
import socket
import time

from testbed.errors import KernelError
from testbed.kernel.namespaces.enter import entered, new_netns
from testbed.kernel.netlink.encode_links import loopback_state
from testbed.kernel.netlink.socket import NetlinkSocket
from testbed.net.facts import Netns
from testbed.probes.observe.taps.tap import ANCILLARY, SO_TIMESTAMPNS, stamp

EXPERIMENTAL = 0x88B5  # IEEE 802: an Ethernet type for local experiments
FRAME = bytes(12) + EXPERIMENTAL.to_bytes(2, "big")
LONGEST_S = 2.0  # until a work item of the kernel has run, under any load


class Stamps:
    """Makes the kernel stamp packets, all of them (state: a socket in a namespace of its own).

    net/core/dev.c: net_enable_timestamp only schedules what turns stamps on.  A packet without
    one gets it when it is read, which would put a journey in the order of reading.
    """

    def __init__(self) -> None:
        namespace = new_netns()
        try:
            with entered(namespace):
                kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
                self._socket = socket.socket(socket.AF_PACKET, kind, socket.htons(EXPERIMENTAL))
                self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
                with NetlinkSocket() as kernel:
                    kernel.send([loopback_state(Netns(ns=""))])
                self._socket.bind(("lo", EXPERIMENTAL))
        finally:
            os.close(namespace)

    def wait(self) -> None:
        """Until packets are stamped when they come.  Raises KernelError."""
        self._socket.settimeout(LONGEST_S)
        deadline = time.monotonic() + LONGEST_S
        while time.monotonic() < deadline:
            self._socket.send(FRAME)
            sent_ns = time.time_ns()
            _, ancillary, _, _ = self._socket.recvmsg(len(FRAME), ANCILLARY)
            if stamp(ancillary) <= sent_ns:
                return
        raise KernelError(f"the kernel stamps no packets, {LONGEST_S:g} s after it was asked to")

    def close(self) -> None:
        """The namespace goes with its only socket."""
        self._socket.close()
