"""`python -m bench.runs.pingall HOSTS`: Mininet's pingAll on one Linux bridge."""

import sys
import time

from mininet.log import setLogLevel
from mininet.net import Mininet
from mininet.nodelib import LinuxBridge

from bench import spaces
from bench.meter import Numbers, used

Mininet.inited = True  # leaves out fixLimits(), which writes sysctls of the whole machine
PATIENCE_S = 30.0
MOST_LOST = 10  # per cent


def measure(hosts: int) -> Numbers:
    """Answered pairs a second; it gives a pair one second, and a busy machine loses some."""
    net = Mininet(build=False, switch=LinuxBridge, controller=None)
    switch = net.addSwitch("s1")
    for number in range(hosts):
        net.addLink(
            net.addHost(f"h{number}", ip=f"10.0.{number // 250}.{number % 250 + 1}/16"), switch
        )
    net.build()
    net.start()
    _wait_until_the_bridge_forwards(net)
    with used() as spent:
        loss = net.pingAll(timeout="1")
    net.stop()
    if loss > MOST_LOST:
        raise RuntimeError(f"pingAll lost {loss} %")
    return {"pairs": hosts * (hosts - 1) * (1 - loss / 100) / spent.seconds}


def _wait_until_the_bridge_forwards(net: Mininet) -> None:
    """Ports listen and learn before they forward: that is no part of what is measured."""
    deadline = time.monotonic() + PATIENCE_S
    while net.ping(net.hosts[:1] + net.hosts[-1:], timeout="1"):
        if time.monotonic() > deadline:
            raise TimeoutError("the bridge does not forward")


if __name__ == "__main__":
    setLogLevel("error")
    spaces.run(measure, int(sys.argv[1]))
