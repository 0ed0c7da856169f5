"""What AWS calls load balancers, and what DNS tells of them."""

from collections.abc import Iterable, Iterator

from testbed.kubernetes.load_balancers.annotations import load_balancer
from testbed.kubernetes.model import Service
from testbed.net import names
from testbed.services.dns import Record
from testbed.vpc.eni import Eni

NAME_LENGTH = 32  # characters: what AWS allows, and where Kubernetes cuts
NUMBERS = 10**10  # AWS adds a number of up to ten digits to the name
TTL_S = 60  # of the names of load balancers (Elastic Load Balancing User Guide)


def balancer_name(cluster: str, service: Service) -> str:
    """What AWS knows it as: `a` and the UID of the Service, without dashes, cut.

    The controller's is `k8s-default-web-0c1…`: parts of the namespace and the name, and a hash
    (AWS Load Balancer Controller, pkg/deploy/elbv2: names).
    """
    if name := load_balancer(service).name:
        return name
    if load_balancer(service).by_controller:
        parts = [name.replace("-", "")[:8] for name in (service.namespace, service.name)]
        number = names.digest("k8s", cluster, service.qualified, length=10)
        return "-".join(["k8s", *parts, number])
    return f"a{names.digest('uid', cluster, service.qualified, length=NAME_LENGTH - 1)}"


def dns_name(cluster: str, service: Service, region: str) -> str:
    """`a0c1….us-west-2.elb.amazonaws.com`, which is all a Service's status tells.

    An internal one's begins with `internal-`; all the world is told its private addresses.  Of a
    Network Load Balancer it is `a0c1….elb.us-west-2.amazonaws.com`, internal or not.
    """
    name, wanted = balancer_name(cluster, service), load_balancer(service)
    if wanted.is_network:
        return f"{name}-{names.digest('nlb', name, length=16)}.elb.{region}.amazonaws.com"
    number = int(names.digest("elb", name, length=12), 16) % NUMBERS
    scheme = "internal-" if wanted.internal else ""
    return f"{scheme}{name}-{number}.{region}.elb.amazonaws.com"


def balancer_records(name: str, enis: Iterable[Eni]) -> Iterator[Record]:
    """The addresses of a Service's load balancer, which all the world is told."""
    for eni in enis:
        yield Record(name, eni.public_ip or eni.primary, TTL_S)
