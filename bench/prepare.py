"""`python -m bench.prepare`: what the benchmark needs is compiled and fetched before it runs."""

import compileall
import sys
from pathlib import Path

import testbed
from bench import floor, peers


def main() -> None:
    """Say what cannot be had: the figures that need it are left out.

    The runs leave no file in the tree; without the testbed's bytecode, each would compile it anew.
    """
    compileall.compile_dir(Path(testbed.__file__).parent, quiet=1)
    for program in floor.PROGRAMS:
        floor.program(program)
    peers.fetch()
    for program in peers.missing():
        sys.stderr.write(f"bench: no {program}: what needs it is left out\n")


if __name__ == "__main__":
    main()
