"""`python -m bench.prepare`: what the benchmark needs is compiled and fetched before it runs."""

import sys

from bench import floor, peers


def main() -> None:
    """Say what cannot be had: the figures that need it are left out."""
    for program in floor.PROGRAMS:
        floor.program(program)
    peers.fetch()
    for program in peers.missing():
        sys.stderr.write(f"bench: no {program}: what needs it is left out\n")


if __name__ == "__main__":
    main()
