"""What this machine has of what labs need, found out by trying.

Trying happens in a forked child in namespaces of its own; no module is loaded, nothing of the host
is changed.  An ordinary user's features are those that a user namespace gives.
"""

import os
import resource
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import Literal

from testbed.errors import TestbedError
from testbed.kernel.machine.features import FEATURES
from testbed.kernel.machine.modules import Modules, modules
from testbed.kernel.machine.scratch import in_child, in_scratch
from testbed.kernel.machine.trying import Feature, try_all, words
from testbed.kernel.namespaces.enter import CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, unshare
from testbed.kernel.programs.run import PACKAGES, run
from testbed.kernel.rootless import obstacles, userns

Status = Literal["ok", "missing", "limited"]

LARGE_LAB_PODS = 3000  # 100 nodes of 30 pods
NOBODY = 65534
PROGRAM_TIMEOUT_S = 10.0
VERSION_LENGTH = 48  # characters of what a program says of itself


@dataclass(frozen=True)
class Finding:
    """One thing a lab may need: is it there, what was seen, what to do about it."""

    feature: str
    status: Status
    detail: str
    remedy: str = ""
    needed: bool = False


def examine(kernel: Modules | None = None) -> tuple[Finding, ...]:
    """Everything labs may need of this machine, the needed first.

    kernel: its modules; none looks at the running one's.
    """
    kernel = kernel or modules()
    base = (_user_namespaces(), *_namespaces())
    tried = None if any(one.needed and one.status != "ok" for one in base) else _tried(kernel)
    features = [_feature(feature, kernel, tried) for feature in FEATURES]
    findings = [_user(), *base, *features, *_programs(kernel), *_limits()]
    return tuple(sorted(findings, key=lambda finding: not finding.needed))


def satisfied(findings: tuple[Finding, ...]) -> bool:
    """Whether nothing is missing that labs cannot do without."""
    return not any(finding.needed and finding.status == "missing" for finding in findings)


def _user() -> Finding:
    if userns.privileged():
        return Finding("root", "ok", "labs are made by root", needed=True)
    detail = f"this is user {os.geteuid()}: labs are made by root through sudo, or rootless"
    return Finding("root", "limited", detail, "for what root has: run this with sudo")


NAMESPACES = (
    ("network namespaces", CLONE_NEWNET, "every pod, node and router"),
    ("mount namespaces", CLONE_NEWNS, "a lab's own /run/netns"),
    ("pid namespaces", CLONE_NEWPID, "a lab ends as a whole"),
)


def _namespaces() -> Iterator[Finding]:
    for feature, flag, use in NAMESPACES:

        def attempt(flag: int = flag) -> None:
            userns.become_root_where_needed()
            unshare(flag)

        remedy = "run as root, outside a container or in a privileged one"
        yield _judged(feature, _refusal(attempt), use, remedy, needed=True)


def _user_namespaces() -> Finding:
    """An ordinary user's.  Root's labs need none, so root asks as another user."""
    needed = not userns.privileged()

    def attempt() -> None:
        if not needed:
            _become_nobody()
        in_scratch(lambda: None)

    remedy = obstacles.remedy()
    return _judged(
        "user namespaces", _refusal(attempt), "labs of ordinary users", remedy, needed=needed
    )


def _become_nobody() -> None:
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    userns.own_proc()


def _refusal(attempt: Callable[[], None]) -> str:
    """What the kernel said against it in a child; empty when it worked."""
    try:
        in_child(attempt)
    except (OSError, TestbedError) as refused:
        return words(refused)
    return ""


def _judged(
    feature: str, complaint: str, use: str, remedy: str, *, needed: bool = False
) -> Finding:
    if not complaint:
        return Finding(feature, "ok", use, needed=needed)
    return Finding(feature, "missing", f"{use}: {complaint}", remedy, needed)


def _tried(kernel: Modules) -> dict[str, str] | None:
    """What was complained of, by feature; None when there was no trying."""
    try:
        return in_scratch(lambda: try_all(FEATURES, kernel))
    except (OSError, TestbedError):
        return None


def _feature(feature: Feature, kernel: Modules, tried: dict[str, str] | None) -> Finding:
    if tried is not None and feature.name in tried:
        return _judged(
            feature.name,
            tried[feature.name],
            feature.use,
            _other_kernel(feature, kernel),
            needed=feature.needed,
        )
    return _untried(feature, kernel)


def _untried(feature: Feature, kernel: Modules) -> Finding:
    """What the kernel's list of modules says of a feature that was not tried."""
    by_presence: dict[str, list[str]] = {}
    for module in feature.modules:
        by_presence.setdefault(kernel.presence(module), []).append(module)

    def finding(status: Status, detail: str, remedy: str) -> Finding:
        return Finding(feature.name, status, f"{feature.use}: {detail}", remedy, feature.needed)

    if absent := by_presence.get("absent"):
        detail = f"this kernel has no module {' '.join(absent)}"
        return finding("missing", detail, _other_kernel(feature, kernel))
    if unknown := by_presence.get("unknown"):
        detail = (
            f"not tried, it might load {' '.join(unknown)}, and /lib/modules is not to be seen"
        )
        return finding("limited", detail, f"modprobe {' '.join(unknown)}; then ask again")
    if loadable := by_presence.get("loadable"):
        if not feature.autoload:
            detail = f"module {loadable[0]} is there, but not loaded"
            return finding("limited", detail, f"modprobe {loadable[0]}")
        return finding("ok", f"not tried: the first use loads {' '.join(loadable)}", "")
    return finding("limited", "not tried", "run as root")


def _other_kernel(feature: Feature, kernel: Modules) -> str:
    if not feature.modules:
        outside = "run outside a container, or in a privileged one"
        return outside if userns.privileged() else "run this with sudo"
    if not kernel.dynamic:
        return "another kernel: this one has no such part and loads no modules"
    return (
        f"modprobe {feature.modules[-1]}; where there is no such module, install "
        f"linux-modules-extra-{kernel.release} (Ubuntu) or linux-image-amd64 (Debian)"
    )


@dataclass(frozen=True)
class Program:
    """A program, how to make it show itself, and what is lost without it."""

    name: str
    argument: str
    use: str
    needed: bool = True


PROGRAMS = (
    Program("ip", "-V", "names of namespaces, and the first thing one types"),
    Program("iptables-nft-restore", "-V", "the rules of nodes"),
    Program("iptables-nft-save", "-V", "reading the rules of nodes"),
    Program("nft", "-v", "the VPC's fabric and gateways"),
    Program("dnsmasq", "-v", "names: a VPC's DNS server"),
    Program("haproxy", "-v", "load balancers"),
    Program("ping", "-V", "checks with the real program"),
    Program("curl", "-V", "checks with the real program"),
    Program("tcpdump", "--version", "looking at packets", needed=False),
    Program("conntrack", "-V", "looking at connections and their translation", needed=False),
    Program("openssl", "version", "certificates of load balancers that speak TLS", needed=False),
    Program("traceroute", "-V", "looking at the way of a packet", needed=False),
)
LOADER = (Program("modprobe", "-V", "the kernel loads its parts with it"),)


def _programs(kernel: Modules) -> Iterator[Finding]:
    for program in (*PROGRAMS, *(LOADER if kernel.dynamic else ())):
        package = f"apt-get install {PACKAGES[program.name]}"
        try:
            shown = run([program.name, program.argument], timeout_s=PROGRAM_TIMEOUT_S)
        except TestbedError as problem:
            yield _judged(program.name, str(problem), program.use, package, needed=program.needed)
        else:
            version = shorten(shown.stdout or shown.stderr, VERSION_LENGTH, placeholder=" …")
            detail = f"{program.use}: {version}"
            yield Finding(program.name, "ok", detail, needed=program.needed)


@dataclass(frozen=True)
class Limit:
    """A number that bounds how many pods this machine can have."""

    name: str
    value: Callable[[], int]
    per_pod: int
    remedy: str


def _number(file: str) -> Callable[[], int]:
    return lambda: int(Path(file).read_text(encoding="ascii"))


LIMITS = (
    Limit(
        "open files",
        lambda: resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        4,  # the sockets of three served ports, and a probe's
        "a higher hard limit: `ulimit -Hn`, or LimitNOFILE= of the service that starts this",
    ),
    Limit(
        "number of network namespaces",
        _number("/proc/sys/user/max_net_namespaces"),
        1,
        "sysctl user.max_net_namespaces=100000",
    ),
    Limit(
        "number of processes",
        _number("/proc/sys/kernel/pid_max"),
        2,  # only at Mininet's prompt: a shell, and what it runs
        "sysctl kernel.pid_max=4194304",
    ),
    Limit(
        "number of neighbours",
        _number("/proc/sys/net/ipv4/neigh/default/gc_thresh3"),
        1,  # its node's entry; one table for all namespaces, permanent entries do not count
        "sysctl net.ipv4.neigh.default.gc_thresh3=16384",
    ),
)


def _limits() -> Iterator[Finding]:
    for limit in LIMITS:
        try:
            pods = limit.value() // limit.per_pod
        except FileNotFoundError:  # of the first network namespace only
            yield Finding(limit.name, "limited", "not to be seen here", "ask outside a container")
            continue
        detail = f"enough for {pods:,} pods"
        if pods >= LARGE_LAB_PODS:
            yield Finding(limit.name, "ok", detail)
        else:
            yield Finding(limit.name, "limited", detail, limit.remedy)
