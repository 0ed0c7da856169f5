"""schema: the JSON schema of what is read and printed."""

import json

import click


@click.command("schema")
@click.argument("kind", type=click.Choice(["topology", "explain"]), default="topology")
def schema_(kind: str) -> None:
    """Print the JSON schema of topology files, for an editor, or of `explain -o json`."""
    if kind == "explain":
        from testbed.explain.render.document import schema
    else:
        from testbed.load import schema
    click.echo(json.dumps(schema(), indent=2))
