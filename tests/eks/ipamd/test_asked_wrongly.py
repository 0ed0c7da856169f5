"""JSON that ipamD cannot be asked with: refused with file, line and key."""

import pytest

from testbed.eks.ipamd.asked.answer import answer
from testbed.eks.ipamd.asked.read import parse
from testbed.errors import DescriptionError


def test_json_may_be_indented_with_tabs() -> None:
    text = '{\n\t"instanceType": "m5.large",\n\t"enis": [{"id": "e", "deviceIndex": 0}]\n}\n'

    assert answer(parse(text, "state.json"))["total"] == 0


ENI = '{"id": "e", "deviceIndex": 0'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "s.json:1: not JSON: Expecting value"),
        ('{\n"enis": [', "s.json:2: not JSON: Expecting value"),
        ("[]", "s.json:1: expected an object, found an empty list"),
        ("[" * 100_000, "s.json: nested too deeply"),
        ('{"enis": []}', "s.json:1: instanceType: this key is missing"),
        (
            '{"enis": [],\n"instanceType": "m5.lage"}',
            "s.json:2: instanceType: there is no instance type 'm5.lage'; did you mean m5.large?",
        ),
        ('{"instanceType": "m5.large", "enis": []}', "no ENI has the device index 0"),
        (
            f'{{"instanceType": "m5.large",\n"enis": [{ENI}, "free": ["10.0.0.300"]}}]}}',
            's.json:2: enis.e.free[0]: expected an IPv4 address, found "10.0.0.300"',
        ),
        (
            '{"instanceType": "m5.large", "enis": [{"id": "new", "deviceIndex": 0}]}',
            'enis.new: "new" is what the answer calls an ENI that is not there yet',
        ),
        (
            f'{{"instanceType": "m5.large", "enis": [{ENI}, "fre": []}}]}}',
            'enis.e.fre: unknown key "fre"; did you mean "free"?',
        ),
        (
            f'{{"instanceType": "m5.large", "enis": [{ENI}, "trunk": true}}],\n'
            '"awaitsTrunk": true}',
            "s.json:2: awaitsTrunk: a trunk is attached already, so none is awaited",
        ),
        (
            f'{{"instanceType": "m5.large", "enis": [{ENI}, "networkCard": 1}},'
            ' {"id": "f", "deviceIndex": 0, "networkCard": 1}]}',
            "enis: two ENIs of network card 1 have the device index 0",
        ),
        (
            f'{{"instanceType": "m5.large", "enis": [{ENI}, "networkCard": 1}}]}}',
            "no ENI has the device index 0",
        ),
        (
            f'{{"instanceType": "m5.large", "enis": [{ENI}}}, {ENI}}}]}}',
            'enis: there are two ENIs "e"',
        ),
        (
            f'{{"instanceType": "m5.large", "enis": [{ENI},'
            ' "free": ["10.0.0.1"], "assigned": ["10.0.0.1"]}]}',
            "enis: the address 10.0.0.1 is there twice",
        ),
        (
            f'{{"instanceType": "t3.nano", "enis": [{ENI}, "free": ["10.0.0.1", "10.0.0.2"]}}]}}',
            "enis.e: 2 secondary addresses and prefixes; an ENI of t3.nano has 1"
            " (PrivateIpAddressLimitExceeded)",
        ),
        (
            f'{{"instanceType": "m5.large", "enis": [{ENI},'
            ' "prefixes": {"10.0.0.0/27": {}}}]}',
            'enis.e.prefixes["10.0.0.0/27"]: an IPv4 prefix is a /28, not 10.0.0.0/27',
        ),
        (
            f'{{"instanceType": "m5.large", "enis": [{ENI},'
            ' "prefixes": {"0.0.0.0/0": {}}}]}',
            "an IPv4 prefix is a /28, not 0.0.0.0/0",
        ),
        (
            f'{{"instanceType": "m5.large", "enis": [{ENI}}}],\n"returned": {{"10.0.0.300": 1}}}}',
            's.json:2: returned["10.0.0.300"]: expected an address or a prefix',
        ),
        (
            f'{{"instanceType": "m5.large", "enis": [{ENI}}}],\n"imds": [{ENI}}}, {ENI}}}]}}',
            's.json:2: imds: there are two ENIs "e"',
        ),
        (
            f'{{"instanceType": "m5.large", "enis": [{ENI},\n'
            '"prefixes": {"10.0.0.0/28": {"assigned": ["10.0.0.16"]}}}]}',
            's.json:2: enis.e.prefixes["10.0.0.0/28"].assigned: 10.0.0.16 is outside 10.0.0.0/28',
        ),
        (
            f'{{"instanceType": "m5.large", "enis": [{ENI}, "released": {{"10.0.0.1": -1}}}}]}}',
            "enis.e.released",
        ),
        (
            f'{{"instanceType": "m5.large", "enis": [{ENI}}}],\n"env": {{"WARM_IP": 1}}}}',
            's.json:2: env.WARM_IP: unknown key "WARM_IP"; did you mean "WARM_IP_TARGET"?',
        ),
    ],
)
def test_what_cannot_be_is_refused_with_file_line_and_key(text: str, message: str) -> None:
    with pytest.raises(DescriptionError) as refused:
        parse(text, "s.json")

    assert message in str(refused.value)
    assert "\n" not in str(refused.value)
    assert refused.value.exit_code == 2
