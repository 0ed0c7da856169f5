"""The ports served outside the VPCs: the hosts of the internet."""

from testbed.net.endpoints import Listener
from testbed.vpc.model import Internet

INTERNET = "internet"  # the namespace all these hosts are addresses of
HTTP = 80


def internet_listeners(internet: Internet) -> tuple[Listener, ...]:
    """An HTTP server on each host's address, which is also the name its answers carry."""
    return tuple(
        Listener(
            netns=INTERNET, port=HTTP, protocol="http", pod=str(host), node=INTERNET, address=host
        )
        for host in internet.hosts
    )
