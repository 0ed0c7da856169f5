"""A way to end: its code, its sentence, and what to change."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Reason:
    """A way to end.  sentence, advice: templates; the words in braces are the packet's."""

    code: str
    sentence: str
    advice: str

    @property
    def is_aws(self) -> bool:
        """Whether the code is AWS's own."""
        return not self.code.startswith("X_")
