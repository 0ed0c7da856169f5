"""render: what a component would write, without any lab."""

import click

from testbed.cli.offline.render.kube_proxy import kube_proxy_
from testbed.cli.offline.render.vpc_cni import vpc_cni_


@click.group("render")
def render_() -> None:
    """Print what a component would write, without any lab."""


render_.add_command(vpc_cni_)
render_.add_command(kube_proxy_)
