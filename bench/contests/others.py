"""Rule sets, programs in pods, the data plane."""

from bench.contests import Progress, Reading, Readings, Size
from bench.rounds import interleaved, python
from testbed.kubernetes.kube_proxy import ERAS


def rules(size: Size, progress: Progress) -> Readings:
    """Two hundred rules in each of many namespaces."""
    argv = python("bench.runs.rules", size.ruled, size.rules)
    found = interleaved({"rules": argv}, size.short_rounds, progress)
    ms = {
        name: found.median("rules", f"{name}_s") / size.ruled * 1e3
        for name in ("testbed", "restore")
    }
    detail = f"{ms['testbed']:.1f} ms a namespace, a restore {ms['restore']:.1f} ms"
    yield Reading("rules", found.ratio("restore_s", "rules", "rules", "testbed_s"), detail)


def render(size: Size, progress: Progress) -> Readings:
    """kube-proxy's rules for a large cluster, in the slower one of its eras."""
    services, endpoints = size.rendered
    argv = python("bench.runs.rendering", services, endpoints)
    found = interleaved({"render": argv}, size.rounds, progress)
    read_s = found.median("render", "read_s")
    slowest = max(found.median("render", f"{era}_s") for era in ERAS)
    yield Reading("render", slowest, f"reading the manifests {read_s:.2f} s before")


def programs(size: Size, progress: Progress) -> Readings:
    """A program where there are many namespaces with names."""
    argv = python("bench.runs.programs", size.named)
    found = interleaved({"programs": argv}, size.rounds, progress)
    ms = {name: found.median("programs", f"{name}_ms") for name in ("testbed", "ip")}
    detail = f"{ms['testbed']:.1f} ms, ip netns exec {ms['ip']:.1f} ms"
    yield Reading("exec", found.ratio("testbed_ms", "programs", "programs", "ip_ms"), detail)


def throughput(size: Size, progress: Progress) -> Readings:
    """Pod, node, VPC, node, pod; each crossing is a veth.  Beside it as many that do less."""
    argv = python("bench.runs.throughput", *size.sending)
    found = interleaved({"tcp": argv}, size.rounds, progress)
    ns = {name: found.median("tcp", name) for name in ("hops", "bare")}
    of_bare = {
        name: found.median("tcp", f"{name}_of_bare") for name in ("routed", "ruled", "hops")
    }
    detail = (
        f"{ns['hops']:.0f} ns a KiB, one veth {ns['bare']:.0f} ns; four hops that only route "
        f"{of_bare['routed']:.2f} x, with the nodes' rules {of_bare['ruled']:.2f} x"
    )
    yield Reading("throughput", of_bare["hops"], detail)
