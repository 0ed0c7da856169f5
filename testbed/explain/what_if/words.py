"""The words of an edit, and what they may mean: networks, tables, marks."""

from ipaddress import IPv4Address, IPv4Network

from testbed.description.problem import quoted, unknown
from testbed.errors import UsageError
from testbed.net.facts import ANYWHERE
from testbed.net.show import TABLE_NAMES

TABLES = {name: number for number, name in TABLE_NAMES.items()}


class Words:
    """The words of an edit behind its namespace, taken one by one (state: those left).

    name: of the edit, `delete rule`; each error begins with it.
    """

    def __init__(self, name: str, ns: str, words: list[str]) -> None:
        self.name = name
        self.ns = ns
        self.left = words

    def take(self, what: str) -> str:
        """The next word.  what: it means, for the error."""
        if not self.left:
            raise UsageError(f"{self.name} {self.ns}: {what} is missing")
        return self.left.pop(0)

    def number(self, what: str) -> int:
        """The next word as a number."""
        return self._number(what, self.take(what))

    def address(self, what: str) -> IPv4Address:
        """The next word as an address."""
        return self.as_address(what, self.take(what))

    def network(self, what: str) -> IPv4Network:
        """The next word as a network: `default`, an address, or with a prefix length."""
        return self.as_network(what, self.take(what))

    def as_address(self, what: str, word: str) -> IPv4Address:
        """A word as an address."""
        try:
            return IPv4Address(word)
        except ValueError:
            raise self.wrong(what, "an address", word) from None

    def as_network(self, what: str, word: str) -> IPv4Network:
        """A word as a network: `default`, an address, or with a prefix length."""
        if word in ("default", "all"):
            return ANYWHERE
        try:
            return IPv4Network(word)
        except ValueError:
            raise self.wrong(what, "a network", word) from None

    def options(self, *known: str) -> dict[str, str]:
        """What is left, in pairs of a name and a value."""
        found: dict[str, str] = {}
        while self.left:
            option = self.take("an option")
            if option not in known:
                raise UsageError(f"{self.name}: {unknown('option', option, known)}")
            found[option] = self.take(f"the value of {option}")
        return found

    def done(self) -> None:
        """Nothing may be left."""
        if self.left:
            raise UsageError(f"{self.name} {self.ns}: {quoted(' '.join(self.left))} is too much")

    def table(self, text: str) -> int:
        """A routing table by its number or name."""
        return TABLES[text] if text in TABLES else self._number("the table", text)

    def mark(self, text: str) -> tuple[int, int]:
        """`0x80/0x80` as mark and mask; without a mask all bits count, as `ip rule` has it."""
        mark, slash, mask = text.partition("/")
        try:
            return int(mark, 0), int(mask, 0) if slash else 0xFFFFFFFF
        except ValueError:
            raise self.wrong("the mark", "a number", text) from None

    def metric(self, text: str) -> int:
        """A route's metric."""
        return self._number("the metric", text)

    def wrong(self, what: str, expected: str, word: str) -> UsageError:
        """A word that means nothing here."""
        return UsageError(f"{self.name} {self.ns}: {what} is {expected}, not {quoted(word)}")

    def _number(self, what: str, word: str) -> int:
        if not word.isdigit():
            raise self.wrong(what, "a number", word)
        return int(word)
