"""Read filters and orders as people and MLflow's clients write them: `metrics.auc > 0.9 AND NOT (tags.team = 'ops')`.

Source: MLflow's search syntax, which is part of this one; `docs/reference/search.md` says what there is beyond it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NoReturn

from interlock.core.errors import InvalidInput, LimitExceeded, did_you_mean
from interlock.ports.search import AllOf, AnyOf, Compare, Field, Filter, Not, Operator, OrderBy, Part, Statistic
from interlock.ports.search_checks import DEEPEST
from interlock.ports.search_fields import NULLS, NUMBERS, TEXTS, Attribute, Searchable
from interlock.ports.search_text import WORD, TextReader
from interlock.ports.search_values import compared_attribute

_PARTS: dict[str, Part] = {
    "metric": "metric",
    "metrics": "metric",
    "param": "param",
    "params": "param",
    "parameter": "param",
    "parameters": "param",
    "tag": "tag",
    "tags": "tag",
    "attribute": "attribute",
    "attributes": "attribute",
    "attr": "attribute",
    "run": "attribute",
    "dataset": "dataset",
    "datasets": "dataset",
}
_DATASET_KEYS = ("name", "digest", "context")
_STATISTICS: dict[str, Statistic] = {
    "last": "last",
    "first": "first",
    "min": "min",
    "max": "max",
    "mean": "mean",
    "count": "count",
}
_BEST = "best"
_LESS_IS_BETTER = re.compile(
    r"(?<![a-z])(loss|losses|error|errors|err|mae|mse|rmse|rmsle|msle|mape|smape|mase|logloss|nll|bce|ce|perplexity|ppl"
    r"|wer|cer|bpb|bpc|fid|kl|divergence|regret|brier|ece|hamming|deviance|latency|duration|seconds)(?![a-z])"
)
_MORE_IS_BETTER = re.compile(r"(?<![a-z])(neg|negative)(?![a-z])")
_NAME = re.compile(r"\w+")
_KEY = re.compile(r"[^\s'\"`()<>=!,;]+")
_SIGN = re.compile(r"[<>=!~]+")
_PART_OPERATORS: dict[Part, tuple[Operator, ...]] = {
    "metric": (*NUMBERS, *NULLS),
    "param": (*TEXTS, *NULLS),
    "tag": (*TEXTS, *NULLS),
    "dataset": (*TEXTS, *NULLS),
}


def parse_filter(text: str | None, of: Searchable) -> Filter | None:
    """Read a filter; an empty one is None.

    Raises:
        InvalidInput: It cannot be read; the message says where, and what was expected there.
        LimitExceeded: It is longer or deeper than allowed.
    """
    if not text or not text.strip():
        return None
    reader = _Reader(text, of, "filter string")
    where = reader.alternatives(0)
    reader.end()
    return where


def parse_order(clauses: Iterable[str], of: Searchable) -> tuple[OrderBy, ...]:
    """Read the keys of an order, such as `metrics.auc DESC`; a text may hold several, with commas between them.

    Raises:
        InvalidInput: One cannot be read, or two order by the same.
        LimitExceeded: One is longer than allowed.
    """
    found: list[OrderBy] = []
    for clause in clauses:
        reader = _Reader(clause, of, f"order_by clause '{clause:.80}'")
        found += reader.order_keys()
    fields = [one.field for one in found]
    twice = [one.field.key for at, one in enumerate(found) if one.field in fields[:at]]
    if twice:
        raise InvalidInput(f"`order_by` contains duplicate fields: '{twice[0]}'", why="each can be ordered by once")
    return tuple(found)


def best_is_least(key: str) -> bool:
    """Say whether the least value of a metric is the best, judged by the words of its name.

    Example:
        >>> best_is_least("val/log_loss"), best_is_least("valLoss"), best_is_least("auc"), best_is_least("neg_mse")
        (True, True, False, False)
    """
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key).lower()
    return bool(_LESS_IS_BETTER.search(words)) and not _MORE_IS_BETTER.search(words)


class _Reader(TextReader):
    """Reads filters and orders by what can be searched."""

    def __init__(self, text: str, of: Searchable, what: str) -> None:
        super().__init__(text, what)
        self._of = of

    # --- conditions

    def alternatives(self, depth: int) -> Filter:
        """Take conditions with OR between them."""
        clauses = [self._conjunction(depth)]
        while self.take_word("OR"):
            clauses.append(self._conjunction(depth))
        return clauses[0] if len(clauses) == 1 else AnyOf(tuple(clauses))

    def _conjunction(self, depth: int) -> Filter:
        clauses = [self._condition(depth)]
        while self.take_word("AND"):
            clauses.append(self._condition(depth))
        return clauses[0] if len(clauses) == 1 else AllOf(tuple(clauses))

    def _condition(self, depth: int) -> Filter:
        if depth >= DEEPEST:
            raise LimitExceeded("a filter is nested too deeply", why=f"it may be {DEEPEST} conditions deep")
        if self.peek_word() == "NOT":
            self.take_word("NOT")
            return Not(self._condition(depth + 1))
        if self.take("("):
            inner = self.alternatives(depth + 1)
            if not self.take(")"):
                self.fail("')', AND or OR")
            return inner
        return self._comparison()

    def _comparison(self) -> Filter:
        if self.number_ahead() is not None:
            self.refuse(f"Expected 'Identifier' found '{self.shown()}'", "the name of something comes first")
        field, attribute = self._field()
        operator, negated = self._operator(field, attribute)
        if operator in NULLS:
            return Compare(field, operator)
        value = self._value(field, attribute, operator)
        if attribute is not None:
            where = compared_attribute(attribute, operator, value)
        else:
            where = Compare(field, operator, value)
        return AllOf((Not(where), Compare(field, "IS NOT NULL"))) if negated else where

    # --- what is compared

    def _field(self) -> tuple[Field, Attribute | None]:
        begin = self.at
        name, quoted = self._name("the name of something")
        if not quoted and self.ahead("("):
            return self._statistic(name, begin), None
        if self.ahead("."):
            return self._part(name, begin)
        return self._attribute(name, begin)

    def _part(self, name: str, begin: int) -> tuple[Field, Attribute | None]:
        part = _PARTS.get(name)
        if part is None or part not in ("attribute", *self._of.parts):
            known = ["attributes", *(f"{one}s" for one in self._of.parts)]
            self.refuse(f"Invalid entity type '{name}'", did_you_mean(name, known), at=begin)
        self.at += 1
        key_at = self.at
        key = self._key(f"a key after '{name}.'")
        if part == "attribute":
            return self._attribute(key, key_at)
        if part == "dataset" and key not in _DATASET_KEYS:
            self.refuse(f"Invalid dataset key '{key}' specified", did_you_mean(key, _DATASET_KEYS), at=key_at)
        if not key:
            self.refuse(f"Invalid {part} key '' specified", "a key has at least one character", at=key_at)
        return Field(part, key), None

    def _attribute(self, name: str, begin: int) -> tuple[Field, Attribute]:
        attribute = self._of.attributes.get(name)
        if attribute is None:
            known = [*self._of.attributes, *(f"{one}s.…" for one in self._of.parts)]
            self.refuse(f"Invalid attribute key '{name}' specified", did_you_mean(name, known), at=begin)
        return Field("attribute", attribute.key), attribute

    def _statistic(self, name: str, begin: int) -> Field:
        if name.lower() not in (*_STATISTICS, _BEST):
            why = did_you_mean(name.lower(), [*_STATISTICS, _BEST])
            self.refuse(f"'{name}' is no statistic of metrics", why, at=begin)
        self.take("(")
        inside = self.at
        field, _ = self._field()
        if field.part != "metric" or field.statistic != "last":
            self.refuse(f"{name}(…) takes a metric", "as in max(metrics.auc)", at=inside)
        if not self.take(")"):
            self.fail("')'")
        if name.lower() == _BEST:
            return Field("metric", field.key, "min" if best_is_least(field.key) else "max")
        return Field("metric", field.key, _STATISTICS[name.lower()])

    def _name(self, expected: str) -> tuple[str, bool]:
        quoted = self.quoted("`'\"")
        found = self.match(_NAME) if quoted is None else quoted
        if found is None:
            self.fail(expected)
        if not self.ahead("."):
            self.skip()
        return found, quoted is not None

    def _key(self, expected: str) -> str:
        quoted = self.quoted("`'\"")
        if quoted is None:
            quoted = self.match(_KEY)
            if quoted is None:
                self.fail(expected)
        self.skip()
        return quoted

    # --- how, and with what

    def _operator(self, field: Field, attribute: Attribute | None) -> tuple[Operator, bool]:
        begin = self.at
        found = self.match(_SIGN) or self.match(WORD)
        if found is None:
            self.fail("a comparison such as =, LIKE or IS NULL")
        self.skip()
        operator = "!=" if found == "<>" else found.upper()
        negated = False
        if operator == "IS":
            operator = self._null()
        elif operator == "NOT":
            word = self.peek_word()
            if word not in ("IN", "LIKE", "ILIKE"):
                self.fail("IN, LIKE or ILIKE")
            self.take_word(word)
            negated = word != "IN"
            operator = word if negated else "NOT IN"
        self._check_operator(operator, field, attribute, begin)
        return operator, negated  # type: ignore[return-value]

    def _null(self) -> str:
        negative = self.take_word("NOT")
        if not self.take_word("NULL"):
            self.fail("NULL" if negative else "NULL or NOT NULL")
        return "IS NOT NULL" if negative else "IS NULL"

    def _check_operator(self, operator: str, field: Field, attribute: Attribute | None, begin: int) -> None:
        if attribute is None:
            allowed = _PART_OPERATORS[field.part]
        else:
            allowed = (*attribute.operators, *(NULLS if attribute.may_be_missing else ()))
        if operator in allowed:
            return
        if operator in NULLS:
            self.refuse(
                "IS NULL / IS NOT NULL is only supported for tags and params, and for what may be missing",
                f"there always is a {field.key}",
                at=begin,
            )
        if not _SIGN.fullmatch(operator) and operator not in (*TEXTS, "RLIKE", "BETWEEN"):
            self.at = begin
            self.fail(f"one of {', '.join(allowed)}")
        hint = "equality is written =" if operator == "==" else f"expected one of {', '.join(allowed)}"
        self.refuse(f"Invalid comparator '{operator}' for {_named(field)}", hint, at=begin)

    def _value(self, field: Field, attribute: Attribute | None, operator: Operator) -> Any:
        kind = attribute.kind if attribute is not None else "number" if field.part == "metric" else "text"
        if operator in ("IN", "NOT IN"):
            return self._choices(kind)
        at = self.at
        text = self.quoted("'\"")
        if text is not None:
            self.skip()
            if field.part == "metric":
                self.refuse(
                    f"Expected numeric value type for metric. Found '{text:.80}'", "numbers have no quotes", at=at
                )
            return text
        number = self.number_ahead()
        if number is None:
            self._refuse_value(kind, field)
        if kind == "text":
            of = {"attribute": "attributes", "param": "parameter"}.get(field.part, field.part)
            self.refuse(
                f"Expected a quoted string value for {of} (e.g. 'my-value'). Got value {number}",
                "text has quotes, also where it looks like a number",
                at=at,
            )
        self.take(number)
        return _number(number)

    def _refuse_value(self, kind: str, field: Field) -> NoReturn:
        if self.at >= len(self.text):
            self.fail("a value")
        if kind != "text":
            of = "metric" if field.part == "metric" else f"numeric attribute: {field.key}"
            self.refuse(f"Expected numeric value type for {of}. Found {self.shown()}", "as in metrics.auc > 0.9")
        if not self.text[self.at].isalnum() and self.text[self.at] != "`":
            self.fail("a quoted text")
        self.refuse(
            "Parameter value is either not quoted or unidentified quote types used for string value "
            f"{self.shown()}. Use either single or double quotes",
            "text has quotes",
        )

    def _choices(self, kind: str) -> tuple[str, ...]:
        trouble = "While parsing a list in the query, expected a non-empty list of string values, but got "
        if not self.take("("):
            self.fail("'(' and a list of quoted texts")
        found: list[str] = []
        while not self.take(")"):
            text = self.quoted("'\"")
            if text is None:
                text = self.number_ahead()
                if text is None:
                    self.refuse(trouble + "ill-formed list", f"expected a quoted text, found {self.shown()}")
                if kind != "number":
                    self.refuse(
                        "While parsing a list in the query, expected string value, punctuation, or whitespace, but got "
                        f"different type in list: {text}",
                        "text has quotes, also where it looks like a number",
                    )
                self.take(text)
            self.skip()
            found.append(text)
            if not self.take(",") and not self.ahead(")"):
                self.refuse(trouble + "ill-formed list", f"expected ',' or ')', found {self.shown()}")
        if not found:
            self.refuse(trouble + "empty list", "as in IN ('a', 'b')")
        return tuple(found)

    # --- orders

    def order_keys(self) -> list[OrderBy]:
        """Take keys of an order to the end."""
        found = [self._order_key()]
        while self.take(","):
            found.append(self._order_key())
        self.end()
        return found

    def _order_key(self) -> OrderBy:
        begin = self.at
        is_best = self.peek_word() == _BEST.upper()
        field, _ = self._field()
        if field.part == "dataset":
            self.refuse("Invalid identifier type 'dataset'", "records may have several datasets", at=begin)
        word = self.peek_word()
        if word in ("ASC", "DESC"):
            self.take_word(word)
            return OrderBy(field, word == "DESC")
        if word and self.is_last_word():
            self.refuse(f"Invalid ordering key in {self.what}", f"expected ASC or DESC, found {self.shown()}")
        # the best comes first
        return OrderBy(field, is_best and field.statistic == "max")


def _named(field: Field) -> str:
    return field.key if field.part == "attribute" else f"{field.part}s.{field.key}"


def _number(text: str) -> int | float:
    return int(text) if text.lstrip("+-").isdigit() and len(text) <= 18 else float(text)
