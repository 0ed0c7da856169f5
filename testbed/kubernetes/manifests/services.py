"""Services and the addresses that were written for them."""

from collections.abc import Iterator

from testbed.kubernetes import model
from testbed.kubernetes.endpoint_slices import EndpointAddress, EndpointPort, EndpointSlice
from testbed.kubernetes.manifests import service_objects as objects
from testbed.kubernetes.manifests.documents import Manifest

SERVICE_NAME = "kubernetes.io/service-name"  # the label that says whose a slice is


def service(written: objects.Service) -> model.Service:
    """The Service as the testbed has it."""
    metadata, spec = written.metadata, written.spec
    affinity = spec.session_affinity_config or objects.SessionAffinityConfig()
    ingress = written.status.load_balancer.ingress
    return model.Service(
        name=metadata.name,
        namespace=metadata.namespace,
        labels=metadata.labels,
        annotations=metadata.annotations,
        selector=spec.selector,
        ports=tuple(_port(port) for port in spec.ports),
        type=spec.type,
        cluster_ip=spec.cluster_ip,
        external_ips=spec.external_ips,
        external_name=spec.external_name,
        external_traffic_policy=spec.external_traffic_policy,
        internal_traffic_policy=spec.internal_traffic_policy,
        session_affinity=spec.session_affinity,
        session_affinity_timeout_s=affinity.client_ip.timeout_seconds,
        allocate_load_balancer_node_ports=spec.allocate_load_balancer_node_ports,
        load_balancer_ip=spec.load_balancer_ip,
        load_balancer_ips=tuple(one.ip for one in ingress if one.ip and one.ip_mode == "VIP"),
        load_balancer_class=spec.load_balancer_class,
        load_balancer_source_ranges=spec.load_balancer_source_ranges,
        health_check_node_port=spec.health_check_node_port,
        publish_not_ready_addresses=spec.publish_not_ready_addresses,
        traffic_distribution=spec.traffic_distribution,
    )


def _port(port: objects.ServicePort) -> model.ServicePort:
    return model.ServicePort(
        port=port.port,
        target_port=port.target_port,
        node_port=port.node_port,
        name=port.name,
        protocol=port.protocol,
    )


def endpoint_slices(manifest: Manifest) -> Iterator[EndpointSlice]:
    """What an object says of the addresses behind a Service: a slice for each of its subsets."""
    match manifest.value:
        case objects.Endpoints(metadata=metadata, subsets=subsets):
            for subset in subsets:
                yield EndpointSlice(
                    name=metadata.name,
                    service=metadata.name,
                    namespace=metadata.namespace,
                    addresses=tuple(_of_subset(subset)),
                    ports=tuple(map(_served, subset.ports)),
                    kind="Endpoints",
                )
        case objects.EndpointSlice(metadata=metadata) as written:
            if SERVICE_NAME not in metadata.labels:
                message = "this key is missing; it names the Service of the slice"
                raise manifest.error(message, "metadata", "labels", SERVICE_NAME)
            yield EndpointSlice(
                name=metadata.name,
                service=metadata.labels[SERVICE_NAME],
                namespace=metadata.namespace,
                addresses=tuple(map(_of_slice, written.endpoints)),
                ports=tuple(_served(port) for port in written.ports if port.port),
            )


def _served(port: objects.EndpointPort) -> EndpointPort:
    return EndpointPort(port.port, port.name or "", port.protocol)


def _of_subset(subset: objects.Subset) -> Iterator[EndpointAddress]:
    """In the order of their texts, as the API server stores them (RepackSubsets)."""
    for ready, addresses in ((True, subset.addresses), (False, subset.not_ready_addresses)):
        for address in sorted(addresses, key=lambda one: str(one.ip)):
            pod = _pod(address.target_ref)
            yield EndpointAddress(
                ip=address.ip,
                node_name=address.node_name,
                pod=pod,
                ready=ready,
                serving=ready,
                hostname=address.hostname,
            )


def _of_slice(endpoint: objects.Endpoint) -> EndpointAddress:
    """kube-proxy's defaults: what is not told is ready, serves, and does not end."""
    conditions = endpoint.conditions
    return EndpointAddress(
        ip=endpoint.addresses[0],
        node_name=endpoint.node_name,
        pod=_pod(endpoint.target_ref),
        ready=conditions.ready is not False,
        serving=conditions.serving is not False,
        terminating=bool(conditions.terminating),
        hostname=endpoint.hostname,
        zone_hints=tuple(zone.name for zone in endpoint.hints.for_zones),
    )


def _pod(target: objects.TargetRef) -> str:
    """The pod's name as users type it; empty for any other target."""
    return model.Pod(target.name, target.namespace).netns if target.kind == "Pod" else ""
