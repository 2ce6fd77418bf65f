"""Describe a model that is made of others: who is asked, who is asked which rows, and what becomes of the answers."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import msgspec

from interlock.core.errors import InvalidInput
from interlock.core.model_answers import answer_columns

LABEL, PROBABILITY = "label", "probability"
"""What models that choose among classes call their outputs; of more than two each has its `probability_<class>`."""

Combining = Literal["mean", "median", "vote", "function"]
Operator = Literal["==", "!=", "<", "<=", ">", ">=", "in", "not in"]
Columns = Mapping[str, Sequence[Any]]
Ask = Callable[[str, Columns, int], Mapping[str, Any]]
"""Asks the version of a Ref some rows, given by column."""


class Use(msgspec.Struct, frozen=True, tag="model"):
    """One version, pinned."""

    ref: str


class Combine(msgspec.Struct, frozen=True, tag="combine"):
    """All are asked every row, and their answers put together.

    Args:
        of: Who is asked.
        how: How the answers are put together.
        weights: How much each counts in a mean; all the same if there are none.
        function: Of a combining function, its number among those of the graph.
    """

    of: tuple[Node, ...]
    how: Combining = "mean"
    weights: tuple[float, ...] = ()
    function: int = -1


class Branch(msgspec.Struct, frozen=True, tag="branch"):
    """Each row is asked of one of two, by the value of a column; a row without a value goes to the second.

    Args:
        column: The column.
        operator: How its value is held against `value`.
        value: What it is held against.
        then: Who is asked the rows for which that is true.
        otherwise: Who is asked the others.
    """

    column: str
    operator: Operator
    value: Any
    then: Node
    otherwise: Node


Node: TypeAlias = Use | Combine | Branch


def members(node: Node) -> Iterator[str]:
    """Yield the Refs of all versions in a graph, in the order in which they are written."""
    if isinstance(node, Use):
        yield node.ref
    elif isinstance(node, Combine):
        for one in node.of:
            yield from members(one)
    else:
        yield from members(node.then)
        yield from members(node.otherwise)


def conditions(node: Node) -> Iterator[Branch]:
    """Yield every branch in a graph."""
    if isinstance(node, Combine):
        for one in node.of:
            yield from conditions(one)
    elif isinstance(node, Branch):
        yield node
        yield from conditions(node.then)
        yield from conditions(node.otherwise)


def evaluate(
    node: Node, columns: Columns, *, rows: int, ask: Ask, functions: Sequence[Callable[..., Any]] = ()
) -> dict[str, Any]:
    """Return what a graph says to some rows, by output: arrays or lists.

    Args:
        node: The graph.
        columns: The rows by column.
        rows: How many there are.
        ask: Asks one of its members.
        functions: Its combining functions.

    Raises:
        InvalidInput: A condition cannot be held against a value, or the answers do not fit together.
    """
    if isinstance(node, Use):
        return dict(ask(node.ref, columns, rows))
    if isinstance(node, Combine):
        answers = [evaluate(one, columns, rows=rows, ask=ask, functions=functions) for one in node.of]
        if node.how == "function":
            plain = [{name: _listed(values) for name, values in answer.items()} for answer in answers]
            return answer_columns(functions[node.function](plain), rows=rows)
        return combined(answers, node.how, node.weights)
    return _branched(node, columns, rows, ask, functions)


def _branched(
    node: Branch, columns: Columns, rows: int, ask: Ask, functions: Sequence[Callable[..., Any]]
) -> dict[str, Any]:
    chosen = [holds(node, value) for value in columns[node.column]]
    if all(chosen) or not any(chosen):
        side = node.then if all(chosen) else node.otherwise
        return evaluate(side, columns, rows=rows, ask=ask, functions=functions)
    whole: dict[str, list[Any]] = {}
    for side, wanted in ((node.then, True), (node.otherwise, False)):
        places = [at for at, one in enumerate(chosen) if one is wanted]
        part = {name: [values[at] for at in places] for name, values in columns.items()}
        answer = evaluate(side, part, rows=len(places), ask=ask, functions=functions)
        for name, values in answer.items():
            column = whole.setdefault(name, [None] * rows)
            for at, value in zip(places, _listed(values), strict=True):
                column[at] = value
    return dict(whole)


def holds(branch: Branch, value: Any) -> bool:
    """Say whether a condition is true of a value; of a missing one it never is.

    Raises:
        InvalidInput: They cannot be compared.

    Example:
        >>> holds(Branch("km", ">", 100, Use("model:a@1"), Use("model:b@1")), 250)
        True
    """
    if value is None or value != value:
        return False
    try:
        return bool(_COMPARED[branch.operator](value, branch.value))
    except TypeError as error:
        raise InvalidInput(
            f"column '{branch.column}': {value!r:.50} cannot be held against {branch.value!r:.50}",
            why=f"the graph branches by {branch.column} {branch.operator} {branch.value!r:.50}",
        ) from error


_COMPARED: Mapping[str, Callable[[Any, Any], bool]] = {
    "==": lambda one, other: bool(one == other),
    "!=": lambda one, other: bool(one != other),
    "<": lambda one, other: bool(one < other),
    "<=": lambda one, other: bool(one <= other),
    ">": lambda one, other: bool(one > other),
    ">=": lambda one, other: bool(one >= other),
    "in": lambda one, other: one in other,
    "not in": lambda one, other: one not in other,
}


def combined(answers: Sequence[Mapping[str, Any]], how: Combining, weights: Sequence[float] = ()) -> dict[str, Any]:
    """Return several answers as one.

    Of numbers the mean or median is taken; a label follows the combined probabilities where there are such, and the
    majority where there are none, or where a vote is wanted (the first of those named equally often).

    Example:
        >>> combined([{"prediction": [1.0]}, {"prediction": [2.0]}], "mean")
        {'prediction': [1.5]}
    """
    names = [name for name in answers[0] if all(name in answer for answer in answers)]
    if how == "vote":
        return {name: _voted([_listed(answer[name]) for answer in answers], weights) for name in names if name == LABEL}
    whole: dict[str, Any] = {}
    for name in names:
        if name != LABEL:
            whole[name] = _middle([_listed(answer[name]) for answer in answers], how, weights)
    if LABEL in names:
        whole[LABEL] = _labels(answers, whole, weights)
    return whole


def _middle(columns: Sequence[list[Any]], how: Combining, weights: Sequence[float]) -> list[float]:
    if how == "median":
        return [statistics.median(values) for values in zip(*columns, strict=True)]
    counts = weights or [1.0] * len(columns)
    total = sum(counts)
    return [
        sum(count * value for count, value in zip(counts, values, strict=True)) / total
        for values in zip(*columns, strict=True)
    ]


def _labels(answers: Sequence[Mapping[str, Any]], whole: Mapping[str, Any], weights: Sequence[float]) -> list[Any]:
    """Return the label that follows from combined probabilities: that of a member that is of the same opinion."""
    labels = [_listed(answer[LABEL]) for answer in answers]
    shares = [name for name in whole if name.startswith(PROBABILITY)]
    if not shares:
        return _voted(labels, weights)
    own = [[_listed(answer[name]) for name in shares] for answer in answers]
    combined_shares = [whole[name] for name in shares]
    voted = _voted(labels, weights)
    found = []
    for row in range(len(voted)):
        wanted = _opinion(combined_shares, row)
        agreeing = (labels[at][row] for at, columns in enumerate(own) if _opinion(columns, row) == wanted)
        found.append(next(agreeing, None if len(shares) == 1 else _class_of(shares[wanted], voted[row])))
    return [voted[row] if label is None else label for row, label in enumerate(found)]


def _opinion(columns: Sequence[Sequence[float]], row: int) -> int:
    """Return the number of the likeliest class; where only the second class has a column, whether it is that."""
    if len(columns) == 1:
        return int(columns[0][row] > 0.5)
    values = [column[row] for column in columns]
    return values.index(max(values))


def _class_of(share: str, like: Any) -> Any:
    """Return the class that a column of probabilities is named after, of the type of another label."""
    text = share[len(PROBABILITY) + 1 :]
    if isinstance(like, bool):
        return text == "True"
    return type(like)(text)


def _voted(columns: Sequence[list[Any]], weights: Sequence[float]) -> list[Any]:
    counts = weights or [1.0] * len(columns)
    voted = []
    for values in zip(*columns, strict=True):
        votes: Counter[Any] = Counter()
        for value, count in zip(values, counts, strict=True):
            votes[value] += count  # type: ignore[assignment]  # a weight is a count of votes
        voted.append(max(votes, key=lambda value: votes[value]))
    return voted


def _listed(values: Any) -> list[Any]:
    listed: list[Any] = values.tolist() if hasattr(values, "tolist") else list(values)
    return listed
