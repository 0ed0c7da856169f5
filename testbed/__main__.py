"""`testbed`, and `python -m testbed`: the command line."""

import signal


def main() -> None:
    """Run the command line.

    A ^C while its modules are loaded ends it at once: nothing is begun, and nothing is to be told.
    """
    at_a_terminal = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if at_a_terminal:  # a shell's job in the background ignores it
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from testbed import cli

    if at_a_terminal:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    cli.main()


if __name__ == "__main__":
    main()
