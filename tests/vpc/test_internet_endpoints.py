"""What the internet serves."""

from ipaddress import IPv4Address

from testbed.net.served.endpoints import Listener
from testbed.vpc.endpoints import internet_listeners
from testbed.vpc.model import Internet


def test_each_host_of_the_internet_serves_http_on_its_own_address() -> None:
    host = IPv4Address("203.0.113.10")

    assert internet_listeners(Internet(hosts=(host,))) == (
        Listener(
            netns="internet",
            address=host,
            port=80,
            protocol="http",
            pod="203.0.113.10",
            node="internet",
        ),
    )
