"""What a manifest cannot say: one message, with file, line and key."""

import pytest

from testbed.kubernetes.model import ServicePort
from tests.kubernetes.manifests import APP, SLICE, error_of, objects

WRONG = {  # what is replaced, by what; what is said
    "unknown kind": (
        "kind: Deployment",
        "kind: NetworkPolicy",
        "app.yaml:16: kind NetworkPolicy is not enforced by the testbed; Pod, Deployment,"
        " Service, Endpoints, EndpointSlice, ENIConfig are",
    ),
    "no kind": ("kind: Deployment", "x: y", "app.yaml:15: kind: expected text, found nothing"),
    "a word misspelt": (
        "image:",
        "imgae:",
        'app.yaml:31: spec.template.spec.containers[0].imgae: the field "imgae" is not'
        ' enforced by the testbed; did you mean "image"?',
    ),
    "a field not enforced": (
        "      containers:",
        "      hostAliases: []\n      containers:",
        'app.yaml:29: spec.template.spec.hostAliases: the field "hostAliases" is not enforced by'
        " the testbed",
    ),
    "a value not enforced": (
        "  type: NodePort",
        "  ipFamilies: [IPv6]",
        'app.yaml:8: spec.ipFamilies[0]: expected "IPv4", found "IPv6"',
    ),
    "no address": (
        "  type: NodePort",
        "  clusterIP: none",
        'app.yaml:8: spec.clusterIP: expected an IPv4 address or None, found "none"',
    ),
    "a type there is not": (
        "  type: NodePort",
        "  type: Headless",
        'app.yaml:8: spec.type: expected "ClusterIP", "NodePort", "LoadBalancer" or'
        ' "ExternalName", found "Headless"',
    ),
    "an affinity's settings without affinity": (
        "  type: NodePort",
        "  sessionAffinityConfig: {clientIP: {timeoutSeconds: 60}}",
        "app.yaml:8: spec.sessionAffinityConfig: must not be set when sessionAffinity is None",
    ),
    "two first addresses": (
        "  type: NodePort",
        "  clusterIP: 172.20.7.7\n  clusterIPs: [172.20.7.8]",
        "app.yaml:9: spec.clusterIPs[0]: the first one must be clusterIP",
    ),
    "text for a number": (
        "containerPort: 8080",
        'containerPort: "8080"',
        'ports[0].containerPort: expected a whole number, found "8080"',
    ),
    "an annotation that means something": (
        "  name: shop\nspec:\n  selector",
        "  name: shop\n  annotations:\n"
        "    service.beta.kubernetes.io/aws-load-balancer-security-groups: sg\nspec:\n  selector",
        'aws-load-balancer-security-groups"]: the annotation'
        ' "service.beta.kubernetes.io/aws-load-balancer-security-groups" is not enforced by',
    ),
    "no name": ("  name: shop\nspec:\n  rep", "  labels: {}\nspec:\n  rep", "is missing"),
    "a name to be chosen": (
        "  name: shop\nspec:\n  rep",
        "  generateName: shop-\nspec:\n  rep",
        "metadata.name: cannot use generate name with apply; this key is missing",
    ),
    "a port no port can be": (
        "targetPort: web",
        "targetPort: 65536",
        "app.yaml:12: spec.ports[0].targetPort: expected a port from 1 to 65535, found the number"
        " 65536",
    ),
    "a text for a number of pods": (
        "replicas: 2",
        "replicas: '2'",
        'app.yaml:20: spec.replicas: expected a whole number, found "2"',
    ),
    "a text for true": (
        "      containers:",
        "      hostNetwork: 'true'\n      containers:",
        'app.yaml:29: spec.template.spec.hostNetwork: expected true or false, found "true"',
    ),
    "a number for false": (
        "  type: NodePort",
        "  publishNotReadyAddresses: 0",
        "app.yaml:8: spec.publishNotReadyAddresses: expected true or false, found the number 0",
    ),
    "a name that only its pods would have": (
        "  name: shop\nspec:\n  rep",
        "  name: Shop\nspec:\n  rep",
        'app.yaml:18: metadata.name: "Shop" cannot be a name',
    ),
    "no address of a node": (
        "          containerPort: 8080",
        "          containerPort: 8080\n          hostPort: 80\n          hostIP: node-1",
        "app.yaml:36: spec.template.spec.containers[0].ports[0].hostIP: expected",
    ),
    "a selector of other pods": (
        "matchLabels:\n      app: shop",
        "matchLabels:\n      app: shup",
        "app.yaml:26: spec.template.metadata.labels: `selector` does not match template `labels`",
    ),
    "no selector": (
        "  selector:\n    matchLabels:\n      app: shop\n",
        "",
        "app.yaml:19: spec.selector.matchLabels: this key is missing",
    ),
    "too many replicas": ("replicas: 2", "replicas: 10001", "expected at most 10000"),
    "affinity to other pods": (
        "      containers:",
        "      affinity: {podAntiAffinity: {}}\n      containers:",
        "app.yaml:29: spec.template.spec.affinity.podAntiAffinity: the field"
        ' "podAntiAffinity" is not enforced by the testbed',
    ),
    "a selector that compares": (
        "matchLabels:\n      app: shop",
        "matchExpressions: [{key: app, operator: Gt, values: ['1']}]",
        "app.yaml:22: spec.selector.matchExpressions[0].operator: expected In, NotIn, Exists or"
        ' DoesNotExist, found "Gt"',
    ),
    "not YAML": ("    app: shop\n  type", "    app: shop\n type", "app.yaml:8: not YAML"),
    "no map": ("---\n", "---\n- x\n---\n", "app.yaml:15: expected a map, found a list"),
}


def test_zero_says_no_port_where_none_need_be_said():
    """SetDefaults_Service; hostPort and nodePort are omitempty."""
    text = APP.replace("targetPort: web", "targetPort: 0").replace(
        "nodePort: 30080", "nodePort: 0"
    )
    found = objects(
        text.replace("containerPort: 8080", "containerPort: 8080\n          hostPort: 0")
    )

    assert found.services[0].ports == (ServicePort(80, name="http"),)
    assert found.pods[0].host_ports == ()


@pytest.mark.parametrize(("old", "new", "said"), WRONG.values(), ids=WRONG)
def test_what_the_testbed_does_not_do_is_refused_at_its_line(old: str, new: str, said: str):
    """Better no lab than one that differs from the cluster in silence."""
    assert APP.count(old) >= 1, "premise"

    assert said in error_of(APP.replace(old, new, 1))


def test_an_endpoint_has_an_address():
    """Or nothing could be said of it."""
    nowhere = SLICE.replace("addresses: [10.0.9.2]", "addresses: []")

    assert error_of(nowhere) == (
        "app.yaml:7: endpoints[1].addresses: expected 1 or more entries, found an empty list"
    )


def test_a_slice_says_whose_it_is():
    text = SLICE.replace("kubernetes.io/service-name: db", "app: db")

    assert 'metadata.labels["kubernetes.io/service-name"]: this key is missing' in error_of(text)


def test_an_annotation_is_known_by_its_whole_name():
    longer = SLICE.replace(
        "labels:", "annotations: {service.kubernetes.io/topology-mode-x: a}, labels:"
    )

    assert "topology-mode-x" in error_of(longer)


def test_hints_of_nodes_and_other_families_are_refused():
    """kube-proxy would leave endpoints out for them."""
    hinted = SLICE.replace("zone: us-west-2a", "hints: {forNodes: [{name: n1}]}")

    assert 'the field "forNodes" is not enforced by the testbed' in error_of(hinted)
    assert 'addressType: expected "IPv4", found "IPv6"' in error_of(SLICE.replace("IPv4", "IPv6"))


def test_a_range_of_clients_has_a_prefix_and_an_address_may_be_empty():
    """The API server parses a CIDR; `loadBalancerIP: ""` is none."""
    text = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec:\n  type: LoadBalancer\n"
    text += "  ports: [{port: 80}]\n"

    said = error_of(text + "  loadBalancerSourceRanges: [10.0.0.1]\n")
    assert "loadBalancerSourceRanges[0]: expected an IPv4 range" in said
    [service] = objects(text + '  loadBalancerIP: ""\n').services
    assert service.load_balancer_ip is None
