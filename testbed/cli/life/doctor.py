"""doctor: what this machine has and lacks for the labs."""

import sys

import click

from testbed.cli.options import output_option
from testbed.cli.output import emit, note
from testbed.errors import MissingFeature


@click.command("doctor")
@output_option
def doctor_(output: str) -> None:
    """Try what the labs need of this machine and say what is missing and what to do about it.

    Exits 4 when something the labs cannot do without is missing.
    """
    from testbed.kernel.machine.doctor import examine

    findings = examine()
    rows = [
        {
            "name": finding.feature,
            "status": finding.status,
            "needed": finding.needed,
            "detail": finding.detail,
            "remedy": finding.remedy,
        }
        for finding in findings
    ]
    emit(rows, output)
    missing = [finding for finding in findings if finding.status == "missing"]
    lacking = [finding.feature for finding in missing if finding.needed]
    without = ", ".join(finding.feature for finding in missing if not finding.needed) or "nothing"
    if lacking:
        note(f"labs cannot run here without {', '.join(lacking)}")
    else:
        note(f"labs can run here; missing, and needed by some only: {without}")
    sys.exit(MissingFeature.exit_code if lacking else 0)
