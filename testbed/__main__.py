"""`testbed`, and `python -m testbed`: the command line."""

import os
import signal
import sys

STANDARD = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))  # by their descriptors


def main() -> None:
    """Run the command line.

    A ^C while its modules are loaded ends it at once: nothing is begun, and nothing is to be told.
    """
    _open_standard_streams()
    at_a_terminal = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if at_a_terminal:  # a shell's job in the background ignores it
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from testbed import cli

    if at_a_terminal:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    cli.main()


def _open_standard_streams() -> None:
    """Have all three, on /dev/null where we were started without one (`>&-`).

    What we open next would be standard output otherwise, and what we print would go there.
    """
    while (lowest := os.open(os.devnull, os.O_RDWR)) < len(STANDARD):
        pass
    os.close(lowest)
    for number, (name, mode) in enumerate(STANDARD):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode))


if __name__ == "__main__":
    main()
