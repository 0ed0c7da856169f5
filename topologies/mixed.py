"""An office on the internet, of ordinary Mininet hosts and a Linux bridge, beside the EKS lab.

    .venv/bin/python topologies/mixed.py

    h1   h2        Mininet hosts: 198.51.100.130 and .131
     |___|
      s1           a Linux bridge
      |
    internet ___ igw-main ___ vpc-main ___ …        the lab of eks.py

All of it is one tree of namespaces, which ends with this script.  See docs/mininet.md.
"""

import sys
from dataclasses import replace

import eks

from testbed.mininet.mixed import MixedNet
from testbed.mininet.own import own_lab, prompt, reported
from testbed.services.load_balancers.naming import dns_name
from testbed.vpc.naming import region

ROUTER = "198.51.100.129"
HOSTS = {"h1": "198.51.100.130", "h2": "198.51.100.131"}

STORY = (
    "h1 ping -c1 h2",  # by the bridge
    "h2 python3 -m http.server 80 &",
    "web-0 ping -c1 h2",  # by the NAT gateway
    "web-0 curl -s --retry 9 --retry-connrefused -o /dev/null http://h2/",
    "h2 true",  # shows h2's log: the client was the NAT gateway
    "h1 curl -s http://{balancer}/",  # by the load balancer to a pod
)

lab = replace(eks.lab, name="mixed")


def connect_office(net: MixedNet) -> None:
    """Two hosts on a bridge, and the bridge on the lab's internet."""
    net.addSwitch("s1")
    net.addLink("s1", "internet", params2={"ip": f"{ROUTER}/28"})
    for name, ip in HOSTS.items():
        net.addHost(name, ip=f"{ip}/28", defaultRoute=f"via {ROUTER}")
        net.addLink(name, "s1")


def balancer(net: MixedNet) -> str:
    """The public address of the load balancer of Service `web`, as the internet's DNS has it."""
    [web] = [service for service in eks.services if service.type == "LoadBalancer"]
    name = dns_name(eks.cluster.name, web, region(eks.vpc))
    return str(net["internet"].cmd("getent ahostsv4", name)).split()[0]


def main() -> None:
    """Bring all of it up, tell the story, go on at the prompt."""
    with reported(), own_lab(lab, MixedNet) as net:
        connect_office(net)
        net.start()
        for line in STORY:
            command = line.format(balancer=balancer(net))
            sys.stdout.write(f"mininet> {command}\n")
            prompt(net, [command])
        prompt(net)


if __name__ == "__main__":
    main()
