"""What chance picks in a prediction, so that in the end each outcome was picked once."""

from collections.abc import Iterator, Sequence
from math import prod


class Draws:
    """What chance picks (state: the picks so far): first what is asked for, then what may be."""

    def __init__(self, asked: tuple[int, ...] = ()) -> None:
        self._asked = asked
        self._picks: list[tuple[Sequence[float], int]] = []

    def draw(self, probabilities: Sequence[float]) -> int:
        """The place of the outcome that is picked."""
        place = len(self._picks)
        possible = (i for i, probability in enumerate(probabilities) if probability > 0)
        pick = self._asked[place] if place < len(self._asked) else next(possible, 0)
        self._picks.append((probabilities, pick))
        return pick

    def __len__(self) -> int:
        return len(self._picks)

    def probability(self, first: int, last: int) -> float:
        """How often the picks from `first` to before `last` come together."""
        if first == last:
            return 1.0
        return prod(probabilities[pick] for probabilities, pick in self._picks[first:last])

    def others(self) -> Iterator[tuple[int, ...]]:
        """What to ask for next, so that in the end each outcome was picked once."""
        picked = [pick for _, pick in self._picks]
        for place in range(len(self._asked), len(self._picks)):
            probabilities, pick = self._picks[place]
            for other in range(pick + 1, len(probabilities)):
                if probabilities[other] > 0:
                    yield (*picked[:place], other)
