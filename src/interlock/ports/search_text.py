"""Read a line of search text from left to right: words, quoted texts, numbers, and where something is wrong."""

from __future__ import annotations

import re
from typing import NoReturn

from interlock.core.errors import InvalidInput, LimitExceeded

LONGEST_TEXT = 65_536
"""Characters in the text of a filter; room for a thousand ids."""

WORD = re.compile(r"[^\W\d]\w*")
_SPACE = re.compile(r"\s*")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?![\w.])")
_QUOTED = {
    "'": re.compile(r"'((?:[^']|'')*)'"),
    '"': re.compile(r'"((?:[^"]|"")*)"'),
    "`": re.compile(r"`((?:[^`]|``)*)`"),
}
_SHOWN = 40


class TextReader:
    """A place in a text; what is taken moves it on, past spaces too.

    Args:
        text: What is read.
        what: What it is called in errors; `filter string`, or an order's clause.

    Cost: the length of the text; no pattern can be made to try twice.
    """

    def __init__(self, text: str, what: str) -> None:
        if not isinstance(text, str):
            raise InvalidInput(f"Invalid {what}", why=f"expected text, got {text!r:.80}")
        if len(text) > LONGEST_TEXT:
            raise LimitExceeded(
                f"a filter of {len(text):,} characters cannot be read", why=f"it may have {LONGEST_TEXT:,}"
            )
        self.text = text
        self.what = what
        self.at = 0
        self.skip()

    def skip(self) -> None:
        """Move past spaces."""
        found = _SPACE.match(self.text, self.at)
        assert found is not None
        self.at = found.end()

    def match(self, pattern: re.Pattern[str]) -> str | None:
        """Take what a pattern finds here, and no spaces behind it."""
        found = pattern.match(self.text, self.at)
        if found is None:
            return None
        self.at = found.end()
        return found[0]

    def ahead(self, sign: str) -> bool:
        """Say whether a sign is next."""
        return self.text.startswith(sign, self.at)

    def take(self, sign: str) -> bool:
        """Take a sign, if it is next."""
        if not self.ahead(sign):
            return False
        self.at += len(sign)
        self.skip()
        return True

    def peek_word(self) -> str:
        """Return the next word in capitals; nothing where it names an entity, as in `not.x`."""
        found = WORD.match(self.text, self.at)
        if found is None or self.text.startswith(".", found.end()):
            return ""
        return found[0].upper()

    def take_word(self, word: str) -> bool:
        """Take a word in any case, if it is next."""
        if self.peek_word() != word:
            return False
        self.at += len(word)
        self.skip()
        return True

    def is_last_word(self) -> bool:
        """Say whether nothing follows the next word."""
        found = WORD.match(self.text, self.at)
        return found is not None and not self.text[found.end() :].strip(" ,")

    def number_ahead(self) -> str | None:
        """Return the number that is next."""
        found = _NUMBER.match(self.text, self.at)
        return None if found is None else found[0]

    def quoted(self, quotes: str) -> str | None:
        """Take a text in one of some quotes; a quote within it is written twice."""
        quote = self.text[self.at : self.at + 1]
        if not quote or quote not in quotes:
            return None
        found = _QUOTED[quote].match(self.text, self.at)
        if found is None:
            self.fail(f"a closing {quote}")
        self.at = found.end()
        return found[1].replace(quote * 2, quote)

    def end(self) -> None:
        """Take nothing more.

        Raises:
            InvalidInput: There is more.
        """
        if self.at < len(self.text):
            if self.ahead(";"):
                self.refuse(f"Search {self.what} contained multiple expressions", "';' separates nothing here")
            self.fail("AND, OR or the end" if self.what.startswith("filter") else "',' or the end")

    def shown(self) -> str:
        """Return the beginning of what is next, for messages."""
        rest = self.text[self.at : self.at + _SHOWN]
        return rest.split(None, 1)[0] if rest.strip() else "the end"

    def fail(self, expected: str) -> NoReturn:
        """Say that something else was expected here."""
        found = f"'{self.text[self.at : self.at + _SHOWN]}'" if self.at < len(self.text) else "the end"
        what = f"Invalid {self.what}"
        if self.what.startswith("filter"):
            what = f"Invalid clause(s) in filter string: {found}"
        raise InvalidInput(what, why=f"at character {self.at + 1}: expected {expected}, found {found}")

    def refuse(self, what: str, why: str, *, at: int | None = None) -> NoReturn:
        """Say what is wrong here, or at another place."""
        place = (self.at if at is None else at) + 1
        raise InvalidInput(what, why=f"at character {place} of the {self.what.split(' ')[0]}: {why}")
