"""Which nodes load balancers take as targets: by labels and taints, as who makes them decides.

Sources: kubernetes v1.14, pkg/controller/service (getNodeConditionPredicate); v1.30,
k8s.io/cloud-provider, controllers/service (stableNodeSetPredicates of KEP 3458: whether a node is
Ready is left to health checks); AWS Load Balancer Controller, pkg/backend
(defaultTrafficProxyNodeLabelSelector, IsNodeSuitableAsTrafficProxy).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from testbed.kubernetes.kube_proxy import Era
from testbed.kubernetes.load_balancers.model import LoadBalancer
from testbed.kubernetes.model import Node

EXCLUDED = "node.kubernetes.io/exclude-from-external-load-balancers"  # KEP 1143: since 1.19
EXCLUDED_ALPHA = "alpha.service-controller.kubernetes.io/exclude-balancer"
MASTER = "node-role.kubernetes.io/master"
LEAVING = "ToBeDeletedByClusterAutoscaler"


@dataclass(frozen=True)
class Rule:
    """Whose nodes are no targets: those with one of the labels, or of the taints."""

    labels: tuple[str, ...]
    taints: tuple[str, ...] = ()


BY_ERA: Mapping[Era, Rule] = {
    "1.14": Rule((MASTER,)),
    "current": Rule((EXCLUDED,), (LEAVING,)),
}
BY_CONTROLLER = Rule((MASTER, EXCLUDED, EXCLUDED_ALPHA), (LEAVING,))


def takes(wanted: LoadBalancer, era: Era, node: Node, labels: Mapping[str, str]) -> bool:
    """Whether a load balancer takes a node of the cluster as target.

    era: of the cluster's Kubernetes.  labels: all that the node has.
    """
    rule = BY_CONTROLLER if wanted.by_controller else BY_ERA[era]
    return (
        wanted.target_node_labels.items() <= labels.items()
        and not any(label in labels for label in rule.labels)
        and not any(taint.key in rule.taints for taint in node.taints)
    )
