"""Kubernetes' own manifests become pods and Services, or one message with file and line."""

from ipaddress import IPv4Address, IPv4Network

import pytest

from testbed.description.ports import Port
from testbed.errors import DescriptionError
from testbed.kubernetes.endpoint_slices import EndpointAddress, EndpointPort, EndpointSlice
from testbed.kubernetes.manifests import Objects, parse
from testbed.kubernetes.model import Container, Pod, Service, ServicePort
from testbed.kubernetes.scheduler.terms import Toleration
from testbed.services.checks import service_problems

APP = """\
apiVersion: v1
kind: Service
metadata:
  name: shop
spec:
  selector:
    app: shop
  type: NodePort
  ports:
  - name: http
    port: 80
    targetPort: web
    nodePort: 30080
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: shop
spec:
  replicas: 2
  selector:
    matchLabels:
      app: shop
  template:
    metadata:
      labels:
        app: shop
    spec:
      containers:
      - name: shop
        image: nginx:1.17
        ports:
        - name: web
          containerPort: 8080
        - containerPort: 53
          protocol: UDP
        readinessProbe:
          httpGet: {path: /, port: web}
"""
POD = """\
apiVersion: v1
kind: Pod
metadata:
  name: client
  namespace: tools
spec:
  containers:
  - name: shell
    image: busybox
"""


def objects(text: str) -> Objects:
    return parse({"app.yaml": text})


def error_of(text: str) -> str:
    with pytest.raises(DescriptionError) as caught:
        objects(text)
    return str(caught.value)


def test_a_deployment_becomes_its_pods():
    """Named as Kubernetes names them, with the label its ReplicaSet gives them."""
    pods = objects(APP).pods

    assert [pod.name for pod in pods] == ["shop-586669fdd8-xpqfs", "shop-586669fdd8-gfjn5"]
    assert pods[0] == Pod(
        pods[0].name,
        labels={"app": "shop", "pod-template-hash": "586669fdd8"},
        containers=(Container("shop", (Port(8080, "http", "web"), Port(53, "udp"))),),
        owner="shop",
        hostname="",
    )


def test_a_pods_name_stays_until_its_template_changes():
    """More replicas are more pods; a new image is new pods."""
    names = {pod.name for pod in objects(APP).pods}
    more = {pod.name for pod in objects(APP.replace("replicas: 2", "replicas: 3")).pods}
    newer = {pod.name for pod in objects(APP.replace("nginx:1.17", "nginx:1.19")).pods}

    assert names < more
    assert not names & newer


def test_a_service_keeps_the_name_of_a_port():
    """Each pod has its own number for it, also pods that come later."""
    assert objects(APP).services == (
        Service(
            "shop",
            selector={"app": "shop"},
            ports=(ServicePort(80, target_port="web", node_port=30080, name="http"),),
            type="NodePort",
        ),
    )


def test_a_pod_serves_the_ports_it_declares_and_has_the_labels_it_says():
    """None: the labels a topology gives to pods that say none are not Kubernetes'."""
    [pod] = objects(POD).pods

    assert pod.netns == "tools.client"
    assert pod.containers == (Container("shell", ()),)
    assert pod.selectable == {}


def test_a_port_of_the_node_may_be_of_one_of_its_addresses():
    """kubectl writes an empty hostIP for all."""
    port = "          containerPort: 8080"
    [pod, _] = objects(
        APP.replace(port, f"{port}\n          hostPort: 80\n          hostIP: ''")
    ).pods
    [own, _] = objects(
        APP.replace(port, f"{port}\n          hostPort: 80\n          hostIP: 10.0.0.4")
    ).pods

    assert (pod.host_ports[0].host_port, pod.host_ports[0].host_ip) == (80, None)
    assert str(own.host_ports[0].host_ip) == "10.0.0.4"


def test_a_pod_may_name_its_node():
    [pod] = objects(f"{POD}  nodeName: n2\n  hostNetwork: true\n").pods

    assert (pod.node, pod.host_network) == ("n2", True)


def test_a_pod_says_which_nodes_it_may_run_on():
    """In Kubernetes' own words, also of a Deployment's template."""
    wishes = """\
  nodeSelector: {topology.kubernetes.io/zone: us-west-2a}
  tolerations:
  - {key: dedicated, operator: Equal, value: gpu, effect: NoSchedule}
  - {operator: Exists, effect: NoExecute, tolerationSeconds: 300}
  affinity:
    nodeAffinity:
      requiredDuringSchedulingIgnoredDuringExecution:
        nodeSelectorTerms:
        - matchExpressions: [{key: disk, operator: In, values: [ssd]}]
"""
    [pod] = objects(POD + wishes).pods

    assert pod.node_selector == {"topology.kubernetes.io/zone": "us-west-2a"}
    assert pod.tolerations[0] == Toleration("dedicated", "Equal", "gpu", "NoSchedule")
    assert pod.affinity.required("n1", {"disk": "ssd"})
    assert not pod.affinity.required("n1", {})


def test_a_deployment_may_select_by_expressions():
    expression = "matchExpressions: [{key: app, operator: In, values: [shop, store]}]"
    found = objects(APP.replace("matchLabels:\n      app: shop", expression))

    assert len(found.pods) == 2
    assert "`selector` does not match template `labels`" in error_of(
        APP.replace("matchLabels:\n      app: shop", expression.replace("In", "NotIn"))
    )


def test_a_list_is_its_items_and_empty_documents_are_none():
    items = POD.replace("\n", "\n  ").rstrip()
    text = f"---\n---\napiVersion: v1\nkind: List\nitems:\n- {items}\n---\n"

    assert objects(text).pods == objects(POD).pods


def test_a_list_of_one_kind_says_it_once():
    """As `kubectl get --raw /api/v1/pods` has it; JSON with tabs too, which is no YAML."""
    item = '{"metadata": {"name": "a"}, "spec": {"containers": [{"name": "a"}]}}'
    text = f'{{\n\t"kind": "PodList",\n\t"apiVersion": "v1",\n\t"items": [{item}]\n}}\n'

    assert [pod.name for pod in objects(text).pods] == ["a"]


def test_what_an_api_server_adds_is_no_mistake():
    """`kubectl get service,pod -o yaml` can be used as it is."""
    text = """\
apiVersion: v1
kind: Service
metadata:
  annotations: {kubectl.kubernetes.io/last-applied-configuration: "{}"}
  creationTimestamp: "2019-11-05T10:00:00Z"
  name: web
  namespace: default
  resourceVersion: "1234"
  selfLink: /api/v1/namespaces/default/services/web
  uid: 5a3f
spec:
  clusterIP: 172.20.7.7
  clusterIPs: [172.20.7.7]
  externalTrafficPolicy: Cluster
  internalTrafficPolicy: Cluster
  ipFamilies: [IPv4]
  ipFamilyPolicy: SingleStack
  ports: [{port: 80, protocol: TCP, targetPort: 8080, nodePort: 31000}]
  selector: {app: web}
  sessionAffinity: None
  type: LoadBalancer
status:
  loadBalancer: {ingress: [{hostname: a.elb.amazonaws.com}]}
"""

    [service] = objects(text).services

    assert service.cluster_ip == IPv4Address("172.20.7.7")
    assert service.ports == (ServicePort(80, target_port=8080, node_port=31000),)


def test_a_mistake_outside_the_default_namespace_has_its_line_too():
    """A path has the name that users type, `tools.db`, which is `db` where it is written."""
    db = "apiVersion: v1\nkind: Service\nmetadata: {name: db}\nspec: {ports: [{port: 1}]}\n"
    tools_db = db.replace("name: db", "name: db, namespace: tools")
    twice = objects(f"{tools_db}---\n{tools_db}---\n{db}")

    [problem] = service_problems(twice.services)

    assert problem.path == ("services", "tools.db")
    assert "tools.db" in problem.message
    assert str(twice.origins["services", "tools.db"].where) == "app.yaml:8"
    assert str(twice.origins["services", "db"].where) == "app.yaml:13"


def test_every_object_knows_where_it_is_written():
    found = objects(APP)

    assert str(found.origins["services", "shop"].where) == "app.yaml:4"
    assert str(found.origins["pods", found.pods[1].name].where) == "app.yaml:18"


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


SERVICE = """\
apiVersion: v1
kind: Service
metadata: {name: db, labels: {service.kubernetes.io/service-proxy-name: other}}
spec:
  type: LoadBalancer
  ports: [{port: 5432}]
  externalIPs: [203.0.113.7]
  externalTrafficPolicy: Local
  healthCheckNodePort: 30123
  internalTrafficPolicy: Local
  loadBalancerSourceRanges: [198.51.100.0/24]
  publishNotReadyAddresses: true
  sessionAffinity: ClientIP
  sessionAffinityConfig: {clientIP: {timeoutSeconds: 60}}
status:
  loadBalancer:
    ingress: [{ip: 203.0.113.9, ports: []}, {ip: 203.0.113.10, ipMode: Proxy}, {hostname: a.b}]
"""


def test_every_field_that_kube_proxy_looks_at_is_taken():
    assert objects(SERVICE).services == (
        Service(
            "db",
            ports=(ServicePort(5432),),
            type="LoadBalancer",
            labels={"service.kubernetes.io/service-proxy-name": "other"},
            external_ips=(IPv4Address("203.0.113.7"),),
            external_traffic_policy="Local",
            health_check_node_port=30123,
            internal_traffic_policy="Local",
            load_balancer_ips=(IPv4Address("203.0.113.9"),),
            load_balancer_source_ranges=(IPv4Network("198.51.100.0/24"),),
            publish_not_ready_addresses=True,
            session_affinity="ClientIP",
            session_affinity_timeout_s=60,
        ),
    )


ENDPOINTS = """\
apiVersion: v1
kind: Endpoints
metadata: {name: db}
subsets:
- addresses:
  - {ip: 10.0.9.1, nodeName: n1, targetRef: {kind: Pod, name: db-0, namespace: data, uid: a}}
  notReadyAddresses: [{ip: 10.0.9.2}]
  ports: [{name: pg, port: 5432, protocol: TCP}]
- addresses: [{ip: 10.0.9.3}]
  ports: [{port: 5433}]
"""
SLICE = """\
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: db-x7k2p, labels: {kubernetes.io/service-name: db}}
addressType: IPv4
endpoints:
- {addresses: [10.0.9.1], nodeName: n1, zone: us-west-2a, conditions: {ready: true}}
- addresses: [10.0.9.2]
  conditions: {ready: false, serving: true, terminating: true}
- addresses: [10.0.9.3]
  conditions: {ready: false}
- addresses: [10.0.9.4]
ports: [{name: pg, port: 5432, protocol: TCP}]
"""


def test_endpoints_are_a_slice_for_each_subset():
    first, second = objects(ENDPOINTS).endpoint_slices

    assert first == EndpointSlice(
        "db",
        "db",
        (
            EndpointAddress(IPv4Address("10.0.9.1"), "n1", "data.db-0"),
            EndpointAddress(IPv4Address("10.0.9.2"), ready=False, serving=False),
        ),
        (EndpointPort(5432, "pg"),),
        kind="Endpoints",
    )
    assert second.ports == (EndpointPort(5433),)


def test_a_pod_has_a_name_of_its_own_only_where_its_hostname_is_written():
    """A StatefulSet's pods are told theirs; no other pod's name becomes its hostname."""
    named = "  hostname: one\n  subdomain: db\n  containers:\n"
    [told] = objects(POD.replace("  containers:\n", named)).pods
    [untold] = objects(POD.replace("  containers:\n", "  subdomain: db\n  containers:\n")).pods

    assert [told.hostname_in("db"), told.hostname_in("other")] == ["one", ""]
    assert untold.hostname_in("db") == ""


def test_an_endpoint_may_have_a_hostname():
    for text in (SLICE, ENDPOINTS):
        found = objects(text.replace("nodeName: n1,", "nodeName: n1, hostname: db-0,"))

        addresses = [one for each in found.endpoint_slices for one in each.addresses]
        assert [one.hostname for one in addresses][:2] == ["db-0", ""]


def test_an_endpoint_has_an_address():
    """Or nothing could be said of it."""
    nowhere = SLICE.replace("addresses: [10.0.9.2]", "addresses: []")

    assert error_of(nowhere) == (
        "app.yaml:7: endpoints[1].addresses: expected 1 or more entries, found an empty list"
    )


def test_an_endpoint_is_what_its_conditions_say():
    """What is not told is true; that one may serve counts only when it ends."""
    [found] = objects(SLICE).endpoint_slices

    assert (found.service, found.ports) == ("db", (EndpointPort(5432, "pg"),))
    told = [(one.ready, one.serving, one.terminating) for one in found.addresses]
    assert told == [
        (True, True, False),
        (False, True, True),
        (False, True, False),
        (True, True, False),
    ]


def test_null_is_not_there():
    """What `kubectl get endpointslices -o yaml` prints of a Service without pods."""
    text = SLICE.split("endpoints:")[0] + "endpoints: null\nports: null\n"

    [found] = objects(text).endpoint_slices

    assert (found.addresses, found.ports) == ((), ())


def test_a_source_range_may_be_written_by_an_address_inside_it():
    text = SERVICE.replace("198.51.100.0/24", '" 198.51.100.7/24"')

    [service] = objects(text).services

    assert service.load_balancer_source_ranges == (IPv4Network("198.51.100.0/24"),)


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


def test_a_pods_status_says_where_it_was_and_whether_it_was_ready():
    """As `kubectl get pods -o yaml` has it; nothing else of it is looked at."""
    told = """\
status:
  podIP: 10.0.9.9
  phase: Running
  conditions: [{type: Ready, status: "False", reason: ContainersNotReady}, {type: Initialized}]
"""
    found = objects(POD.replace("  name: client", "  name: client\n  deletionTimestamp: x") + told)

    assert (found.pods[0].ready, found.pods[0].terminating) == (False, True)
    assert found.statuses["tools.client"].pod_ip == IPv4Address("10.0.9.9")
    assert objects(POD).pods[0].ready


def test_a_range_of_clients_has_a_prefix_and_an_address_may_be_empty():
    """The API server parses a CIDR; `loadBalancerIP: ""` is none."""
    text = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec:\n  type: LoadBalancer\n"
    text += "  ports: [{port: 80}]\n"

    said = error_of(text + "  loadBalancerSourceRanges: [10.0.0.1]\n")
    assert "loadBalancerSourceRanges[0]: expected an IPv4 range" in said
    [service] = objects(text + '  loadBalancerIP: ""\n').services
    assert service.load_balancer_ip is None
