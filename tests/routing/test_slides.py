"""What the workshop's slides show is what the kernel prints, line by line."""

from pathlib import Path

import pytest

from testbed.bed import bed as bring_up
from testbed.daemon.shown.slides import compared, filled, values
from testbed.load import load

pytestmark = pytest.mark.kernel


@pytest.mark.parametrize("name", ["eks-slides.yaml", "kops-slides.yaml"])
def test_the_kernel_prints_what_the_slides_show(topologies: Path, name: str) -> None:
    """The command of each slide is run where the slide has it."""
    with bring_up(load(topologies / name)) as lab:
        assert lab.lab.slides
        words = values(lab.lab, lab.allocations, lab.state)
        for slide in lab.lab.slides:
            printed = lab.run(slide.node, *slide.command.split()).stdout
            result = compared(slide, filled(slide, words), printed)
            assert result["same"], result["lines"]
        assert not lab.drift()
