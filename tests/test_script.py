"""A Python topology is taken by its `lab`, and its mistakes are told with its own lines."""

from pathlib import Path

import pytest

from testbed.errors import DescriptionError
from testbed.lab import Lab
from testbed.load import load

GOOD = """\
from testbed.lab import Lab
from testbed.vpc.model import Vpc

lab = Lab("tiny", vpcs=[Vpc("main", cidrs=["10.0.0.0/16"])])
"""


def error_of(file: Path, text: str) -> DescriptionError:
    """What a wrong script is answered with."""
    file.write_text(text)
    with pytest.raises(DescriptionError) as caught:
        load(file)
    assert caught.value.where.file == str(file)
    assert caught.value.exit_code == 2
    return caught.value


def test_a_script_gives_its_lab_and_is_not_run_as_the_main_program(tmp_path: Path) -> None:
    """Under `__main__` it would bring its lab up while it is only being read."""
    file = tmp_path / "tiny.py"
    file.write_text(f"{GOOD}\nif __name__ == '__main__':\n    raise SystemExit\n")

    lab = load(file)

    assert isinstance(lab, Lab)
    assert lab.name == "tiny"


def test_a_script_finds_the_modules_beside_it(tmp_path: Path) -> None:
    """As it does when Python runs it."""
    (tmp_path / "shared_part_of_tiny.py").write_text(GOOD)
    (tmp_path / "tiny.py").write_text("from shared_part_of_tiny import lab as lab")

    assert load(tmp_path / "tiny.py").name == "tiny"


def test_a_wrong_lab_is_told_by_its_key(tmp_path: Path) -> None:
    """A value knows no line of the script, but the key says where to look."""
    error = error_of(tmp_path / "x.py", GOOD.replace("/16", "/8"))

    assert error.where.key == "vpcs.main.cidrs[0]"
    assert error.message.endswith("not 10.0.0.0/8 (InvalidVpc.Range)")


WRONG = {  # the script; the line, the key, the message
    "an unknown argument": (
        "\nfrom testbed.vpc.model import NatGateway\nNatGateway('a', sub_net='b')",
        (3, "NatGateway.sub_net"),
        'unknown key "sub_net"; did you mean "subnet"? allowed: name, subnet,'
        " serves_every_source, connectivity_type",
    ),
    "a missing argument": (
        "from testbed.vpc.model import Subnet\nSubnet('a', cidr='10.0.0.0/24')",
        (2, "Subnet.availability_zone"),
        "this key is missing",
    ),
    "a wrong argument in a function": (
        "from testbed.vpc.model import Subnet\n"
        "def subnet(cidr):\n"
        "    return Subnet('a', cidr, 'us-west-2a')\n"
        "lab = subnet('10.0.0.0')\n",
        (3, "Subnet.cidr"),
        'expected an IPv4 range such as 10.0.0.0/16, found "10.0.0.0"',
    ),
    "too many arguments": (
        "from testbed.vpc.model import NatGateway\nNatGateway('a', 'b', True, 'public', 'c')",
        (2, "NatGateway[4]"),
        'unknown key "4"; allowed: name, subnet, serves_every_source, connectivity_type',
    ),
    "not Python": ("x = 1\nlab = (\n", (2, ""), "not Python: '(' was never closed"),
    "an error": ("\n1 / 0", (2, ""), "ZeroDivisionError: division by zero"),
    "no such module": (
        "import no_such",
        (1, ""),
        "ModuleNotFoundError: No module named 'no_such'",
    ),
    "an exit": (
        "import sys\nsys.exit(3)",
        (2, ""),
        "the script exits instead of defining its lab",
    ),
    "no lab": ("x = 1", (0, ""), "the script defines no `lab`"),
    "a lab of another name": (
        GOOD.replace("lab =", "topology ="),
        (0, ""),
        "the script defines no `lab`; is it `topology`?",
    ),
    "something else as lab": (
        "lab = [1]",
        (0, ""),
        "`lab` is a list; expected a testbed.lab.Lab",
    ),
    "our own errors": (
        "from testbed.vpc.instance_types import limits\nlimits('t3.smal')",
        (2, ""),
        "there is no instance type 't3.smal'; did you mean t3.small?",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_script_is_one_message_at_its_innermost_line(case: str, tmp_path: Path) -> None:
    """A traceback through pydantic and runpy would hide the one line that matters."""
    text, (line, key), message = WRONG[case]

    error = error_of(tmp_path / "x.py", text)

    assert (error.where.line, error.where.key) == (line, key)
    assert error.message == message


def test_an_error_in_a_module_beside_the_script_is_told_at_the_import(tmp_path: Path) -> None:
    """The script is what the user named."""
    (tmp_path / "broken_part_of_x.py").write_text("x = 1\ny = (")

    error = error_of(tmp_path / "x.py", "\n\nimport broken_part_of_x")

    assert (error.where.line, error.message) == (3, "not Python: '(' was never closed")


def test_a_script_without_end_is_stopped(tmp_path: Path) -> None:
    """Python stops it; what remains is to say where."""
    error = error_of(tmp_path / "x.py", "def forever():\n    return forever()\nforever()")

    assert error.where.line == 2
    assert error.message.startswith("RecursionError: ")


def test_the_user_may_interrupt_a_script(tmp_path: Path) -> None:
    """Ctrl-C is not an error of the topology."""
    file = tmp_path / "x.py"
    file.write_text("raise KeyboardInterrupt")

    with pytest.raises(KeyboardInterrupt):
        load(file)
