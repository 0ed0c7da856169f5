"""Whatever is typed: an exit code that is documented, no traceback, and a lab that is whole."""

import importlib

import click
import pytest
from hypothesis import strategies as st

from testbed import cli
from testbed.cli.verbs import VERBS, place
from testbed.daemon.process.home import Home
from tests.cli.conftest import Commands, OnAHost
from tests.cli.forked import Done, run
from tests.inputs.shares import tried

pytestmark = pytest.mark.kernel

CODES = {0, 1, 2, 3, 4}  # 5 is an internal error: nothing that is typed may be one
INSIDE = {"exec", "shell"}  # their exit codes are those of what they start
SLOTS = {  # what may stand in a shape: good words, and what people or scripts get wrong
    "NAME": [
        *("web-0", "web-*", "client", "node-1", "node-9", "vpc-main", "internet", "dns-main"),
        *("10.0.1.5", "10.0.1", "fd00::1", "169.254.169.253", "255.255.255.255", "0.0.0.0"),
        *("web", "web:80", "web:x", "client:70000", "client:80", "internet:80", "localhost", "*"),
        *("..", "a/b", "", " ", "é", "a\nb", "\x1b[31m", "x" * 300, "%s", "[", "-1", "--"),
    ],
    "KIND": ["pods", "nodes", "service", "rules", "routes", "chains", "subnets", "pod", "x", ""],
    "FORMAT": ["json", "yaml", "table", "text", "svg", "html", "xml"],
    "FILE": ["lab.yaml", "bad.yaml", "gone.yaml", "lab.py", "app.yaml", "/dev/null", "/", "-", ""],
    "NUMBER": ["1", "0.01", "0", "-1", "1e9", "nan", "0x10", "one", "9" * 40],
    "SETTING": [
        *("WARM_ENI_TARGET=2", "WARM_IP_TARGET=-", "WARM_IP_TARGET=x", "MINIMUM_IP_TARGET-"),
        *("AWS_VPC_K8S_CNI_EXTERNALSNAT=true", "NO_SUCH=1", "=", "=1", "WARM_ENI_TARGET", "é=é"),
    ],
    "EDIT": [
        *("delete rule node-1 512", "delete rule node-1 x", "delete", "", "delete route node-1"),
        *("add rule node-1 100 from 10.0.1.5 lookup 2", "set sysctl node-1 a.b 1", "x y z"),
        *("delete chain-rule node-1 nat POSTROUTING 1", "set link node-1 eth0 down"),
    ],
    "LAB": ["lab", "other", "", "..", "UPPER", "a/b"],
}
SHAPES = """
up FILE | up FILE --name LAB | up FILE --dry-run | up FILE --dry-run -o FORMAT
up FILE --dry-run --reachability | up FILE --dry-run --against FILE | validate FILE | schema
down LAB | down FILE | down --all | ls -o FORMAT | clean | doctor
verify -l LAB | verify -o FORMAT | get KIND | get KIND NAME | get KIND -o FORMAT
describe KIND NAME | describe service NAME | describe pod NAME | describe node NAME
describe service NAME --node NAME | path NAME NAME | path NAME NAME -o FORMAT | slide -o FORMAT
explain NAME NAME | explain NAME NAME -p FORMAT | explain NAME NAME --predict -o FORMAT
explain NAME NAME --what-if EDIT | explain NAME NAME --timeout 0.1 -v
ping NAME NAME --timeout 0.1 | ping NAME NAME -c NUMBER --timeout 0.01 | ping NAME
matrix -p tcp --timeout NUMBER | matrix -p FORMAT | clients -o FORMAT
exec NAME -- true | exec NAME NAME -- true | exec NAME -- NAME | exec -l LAB NAME -- true
shell NAME | apply -f FILE | apply -f FILE --dry-run | apply -f FILE --cluster NAME
delete -f FILE | delete -f FILE --ignore-not-found | set NAME SETTING | set eks SETTING --dry-run
restart NAME | restart daemonset aws-node | restart NAME -o FORMAT
set NAME SETTING SETTING | render vpc-cni SETTING | render vpc-cni -f FILE --node NAME --pod NAME
render kube-proxy -f FILE | ipam decide -f FILE | --version | NAME NAME | -l LAB get KIND
"""
MANIFEST = """\
apiVersion: v1
kind: Pod
metadata: {name: extra}
spec: {containers: [{name: app, ports: [{containerPort: 80}]}]}
"""


ODD = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)


def typed(shape: str) -> st.SearchStrategy[tuple[str, ...]]:
    """A shape with words in its slots, and now and then more: an option, a word nobody expects."""
    verb, *_ = shape.split()
    slots = [SLOTS.get(word, [word]) for word in shape.split()]
    more = st.one_of(st.just(()), st.just(()), options(verb), st.tuples(ODD))
    words = st.tuples(*map(st.sampled_from, slots))
    return st.tuples(words, more).map(lambda both: (*both[0], *both[1]))


def options(verb: str) -> st.SearchStrategy[tuple[str, ...]]:
    """Any option that a verb declares, with a value that its type may take or not."""
    command = cli.testbed.get_command(click.Context(cli.testbed), verb)
    declared = [one for one in command.params if isinstance(one, click.Option)] if command else []
    return st.one_of(st.just(()), *map(_option, declared))


def _option(declared: click.Option) -> st.SearchStrategy[tuple[str, ...]]:
    names = st.sampled_from([*declared.opts, *declared.secondary_opts])
    if declared.is_flag:
        return st.tuples(names)
    kinds = {"Path": SLOTS["FILE"], "IntRange": SLOTS["NUMBER"], "FloatRange": SLOTS["NUMBER"]}
    choices = getattr(declared.type, "choices", kinds.get(type(declared.type).__name__))
    return st.tuples(names, st.sampled_from([*(choices or SLOTS["NAME"]), "x"]))


TYPED = st.one_of(*map(typed, filter(str.strip, SHAPES.replace("\n", "|").split("|"))))


def wrong(done: Done) -> str:
    """What no answer may be; empty for a good one."""
    if "Traceback" in done.errors or "(a bug)" in done.errors:
        return "nobody has thought of it"
    if done.code not in CODES and not INSIDE & {*done.words[:1]}:
        return f"exit code {done.code}"
    if done.code == 2 and not done.errors:
        return "nothing is said"
    return ""


def test_whatever_is_typed_has_an_answer(
    on_a_host: OnAHost, request: pytest.FixtureRequest
) -> None:
    """With one lab up, which `up`, `down` and `clean` may take away, and no lab after that."""

    def test(commands: Commands) -> None:
        for verb in VERBS:
            importlib.import_module(place(verb))
        folder = commands.file.parent
        commands.file.write_text(commands.file.read_text().replace(commands.name, "lab"))
        (folder / "bad.yaml").write_text("testbed: v1\nname: [")
        (folder / "lab.py").write_text("lab = 5\n")
        (folder / "app.yaml").write_text(MANIFEST)
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            tried(request, TYPED, answered)
            run("up", "lab.yaml")
            assert run("verify", "-l", "lab").code == 0
            assert run("down", "--all").code == 0

    on_a_host(test)


def answered(words: tuple[str, ...]) -> None:
    """A command line, with a lab up."""
    if Home("lab").holder() is None:  # an earlier one has taken it away
        assert run("up", "lab.yaml").code == 0
    done = run(*words)
    assert not wrong(done), (wrong(done), done)
