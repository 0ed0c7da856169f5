"""What is said of a name that nothing in the lab has."""

import pytest

from testbed.daemon.unknown import no_place
from testbed.description.problem import MOST_SHOWN

KNOWN = ["client", "monitoring.exporter", "node-1", "node-2", "vpc-main", "web", "web-0"]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("clinet", "client"),
        ("pod/web-0", "web-0"),
        ("default/web-0", "web-0"),
        ("default.web-0", "web-0"),
        ("web-0:80", "web-0"),
        ("monitoring/exporter", "monitoring.exporter"),
        ("exporter.monitoring", "monitoring.exporter"),
        ("web.default.svc.cluster.local", "web"),
    ],
)
def test_other_spellings_are_told_the_labs_own(written: str, meant: str) -> None:
    """kubectl's, DNS's, a URL's, and slips of the finger."""
    assert no_place(written, KNOWN) == f'no "{written}" in this lab; did you mean "{meant}"?'


def test_a_name_that_is_as_near_to_several_is_told_them_all() -> None:
    assert no_place("node-9", KNOWN).endswith('did you mean "node-2" or "node-1"?')


def test_what_only_dns_knows_is_for_a_program_in_the_lab() -> None:
    assert "`testbed exec POD -- curl example.com`" in no_place("example.com", KNOWN)


def test_an_address_with_a_slip_is_not_looked_for_as_a_name() -> None:
    assert no_place("10.0.1.300", KNOWN) == '"10.0.1.300" is no IPv4 address'


def test_without_a_near_one_as_many_are_listed_as_one_reads() -> None:
    assert no_place("xyz", KNOWN) == f'no "xyz" in this lab; there are: {" ".join(KNOWN)}'
    many = [f"pod-{i:03}" for i in range(MOST_SHOWN + 5)]
    assert no_place("xyz", many).endswith(f"{many[MOST_SHOWN - 1]} … and 5 more")
    assert no_place("xyz", []).endswith("there are: none")
