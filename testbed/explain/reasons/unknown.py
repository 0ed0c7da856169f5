"""What is said where nobody saw or nobody can tell how a packet ended."""

from testbed.explain.reasons.reason import Reason

UNKNOWN = (
    # what is not known
    Reason(
        "X_UNWATCHED",
        "{ns} sent it on to {beyond}, where nobody watched",
        "watch {beyond} too",
    ),
    Reason(
        "X_LOST",
        "{ns} had it last, {where}; nothing explains its loss",
        "observe it again as root: tracefs names the function of the kernel that drops it",
    ),
    Reason(
        "X_HOST",
        "{dev} of {ns} leads out of the lab",
        "ask the machine behind it",
    ),
    Reason(
        "X_UNKNOWN",
        "not predicted: {what}",
        "send a real packet: explain without --predict",
    ),
)
