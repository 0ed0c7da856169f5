"""`python -m testbed.probes.servers IDLE_S MOST_CONNECTIONS`: a process that answers for pods.

Standard input is the socket by which `processes.Process` gives it listening sockets; the end of
that is its own.
"""

import socket
import sys

from testbed.kernel.machine.limits import raise_descriptor_limit
from testbed.probes.servers.serving import Server

if __name__ == "__main__":
    raise_descriptor_limit()
    server = Server(idle_s=float(sys.argv[1]), most_connections=int(sys.argv[2]))
    server.run(socket.socket(fileno=0))
