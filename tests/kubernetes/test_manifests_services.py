"""Services, Endpoints and EndpointSlices as Kubernetes writes them."""

from ipaddress import IPv4Address, IPv4Network

from testbed.kubernetes.endpoint_slices import EndpointAddress, EndpointPort, EndpointSlice
from testbed.kubernetes.model import Service, ServicePort
from tests.kubernetes.manifests import POD, SLICE, objects

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
