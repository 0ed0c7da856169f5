"""The reference CNI plugins, where they are installed (Debian: containernetworking-plugins)."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from testbed.kernel.namespaces.store import LocalStore
from testbed.kernel.programs.run import run
from testbed.probes.sockets import inside

DIRECTORIES = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))  # Debian's, kubelet's

Plugin = Callable[..., Any]


@pytest.fixture(scope="session")
def plugins() -> Path:
    """The directory of the plugins; without them the test is skipped."""
    for directory in DIRECTORIES:
        if (directory / "host-local").exists():
            return directory
    pytest.skip("no CNI plugins: install containernetworking-plugins")


@pytest.fixture
def plugin(plugins: Path) -> Plugin:
    """`plugin(store, node, pod, conf)`: what a plugin answers that is called for a pod.

    As a container runtime calls it: in the node's namespace, the pod's as a path, the
    configuration on standard input.
    """

    def call(
        store: LocalStore,
        node: str,
        pod: str,
        conf: dict[str, Any],
        command: str = "ADD",
        container: str = "",
        dev: str = "eth0",
    ) -> Any:
        fd = store.open(pod)
        try:
            environment = {
                "CNI_COMMAND": command,
                "CNI_CONTAINERID": container or pod,
                "CNI_NETNS": f"/proc/{os.getpid()}/fd/{fd}",
                "CNI_IFNAME": dev,
                "CNI_PATH": str(plugins),
            }
            argv = ["env", *(f"{name}={value}" for name, value in environment.items())]
            with inside(store, node):
                result = run(
                    [*argv, str(plugins / conf["type"])], stdin=json.dumps(conf), timeout_s=20
                )
        finally:
            os.close(fd)
        assert result.returncode == 0, result.stdout + result.stderr
        return json.loads(result.stdout) if result.stdout else None

    return call
