"""Kubernetes' manifests become pods, Deployments and where they run."""

from ipaddress import IPv4Address

from testbed.description.ports import Port
from testbed.kubernetes.model import Container, Pod, Service, ServicePort
from testbed.kubernetes.scheduler.terms import Toleration
from testbed.services.checks import service_problems
from tests.kubernetes.manifests import APP, POD, error_of, objects


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
