"""Chains have the names that kube-proxy gives them, so that they can be looked up."""

from testbed.services.kube_proxy.names import endpoint_chain, port_name, service_chain


def test_a_port_without_a_name_keeps_its_colon():
    """Until Kubernetes 1.18; since 1.19 the same Service has another chain."""
    assert port_name("1.14", "default", "web", "") == "default/web:"
    assert port_name("current", "default", "web", "") == "default/web"
    assert service_chain("SVC", "default/web:", "TCP") == "KUBE-SVC-BIJGBSD4RZCCZX5R"
    assert service_chain("SVC", "default/web", "TCP") == "KUBE-SVC-LOLE4ISW44XBNF3G"


def test_the_chains_of_one_port_share_their_hash():
    assert service_chain("FW", "default/web:", "tcp") == "KUBE-FW-BIJGBSD4RZCCZX5R"
    assert service_chain("XLB", "default/web:", "tcp") == "KUBE-XLB-BIJGBSD4RZCCZX5R"


def test_each_endpoint_of_each_port_has_a_chain():
    local, remote = "100.65.129.11:8080", "100.65.130.11:8080"

    assert endpoint_chain("default/web:", "tcp", local) == "KUBE-SEP-3LOXRDF3ACOG6RRQ"
    assert endpoint_chain("default/web:", "TCP", remote) == "KUBE-SEP-G3TO2R6K3VEQ4CZG"


def test_protocol_and_port_name_make_other_chains():
    """kube-dns has port 53 twice."""
    names = {
        service_chain("SVC", port_name("1.14", "kube-system", "kube-dns", port), protocol)
        for port, protocol in [("dns", "UDP"), ("dns-tcp", "TCP"), ("dns", "TCP")]
    }

    assert len(names) == 3
