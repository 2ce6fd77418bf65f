"""Python: a function, a class or an object with `predict`, written with all the code of the project that it needs."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any, get_args

from interlock.core.blame import blame
from interlock.core.carrying import read_carried
from interlock.core.errors import InvalidInput, StepFailed
from interlock.core.libraries import distribution_of
from interlock.core.model_answers import PREDICTION, answer_columns, joined
from interlock.core.python_models import (
    MODEL_FILE,
    Head,
    Takes,
    answering,
    method_of,
    streams,
    write_model,
)
from interlock.core.schema import Column, ColumnType, Signature
from interlock.registry.comparing import TOLERANCE, largest_difference
from interlock.registry.kinds import Form, ModelKind, Options, Package
from interlock.registry.signatures import example_table, input_columns, plain_columns
from interlock.registry.tensors import datatype_of, tensor_column, tensors_of
from interlock.registry.travelling import carried

if TYPE_CHECKING:
    import pyarrow as pa

COMPARED_ROWS = 20
"""How many rows of the example are asked; each may take a while."""

ALONE_ROWS = 3
"""How many of them are asked once more, each alone."""

SLOW_S = 0.5
"""A model that takes longer for these rows is asked no others."""

_ANNOTATED: Sequence[tuple[str, Takes]] = (
    ("polars", "polars"),
    ("pl.", "polars"),
    ("DataFrame", "pandas"),
    ("Table", "arrow"),
    ("ndarray", "numpy"),
    ("NDArray", "numpy"),
    ("dict", "columns"),
    ("Mapping", "columns"),
    ("list", "rows"),
    ("Sequence", "rows"),
)
_FORMS = ", ".join(get_args(Takes))


def _package(model: Any, example: Any, options: Options) -> Package:
    name = _name(model)
    function = _function_of(model, name)
    takes = takes_of(function, example, name)
    written = carried(model, name=name)
    signature_in, plain, natural = _inputs(example, takes)
    streaming = streams(function)
    began = perf_counter()
    memory = _InMemory(model, written.data, takes, streaming=streaming, name=name)
    answers = memory.ask(natural)
    rows = min(COMPARED_ROWS, len(next(iter(plain.values()))))
    if perf_counter() - began > SLOW_S:
        plain = {column: values[:rows] for column, values in plain.items()}
    outputs = _outputs(answers)
    looks = memory.looks_at_others(natural, answers)
    libraries = {**written.libraries, **_library_of(takes)}
    head = Head(takes, streaming, written.python, libraries)
    return Package(
        flavor="python_function",
        title=f"{name}({', '.join(inspect.signature(function).parameters)})",
        signature=Signature(signature_in, outputs),
        example=plain,
        expected={column.name: _expected(answers[column.name], column)[:rows] for column in outputs},
        native=(
            Form(
                engine="python",
                title="Python",
                files={MODEL_FILE: write_model(head, written.data, options.signer)},
                libraries=tuple(libraries),
                flavors={
                    "interlock_python": {
                        "data": MODEL_FILE,
                        "takes": takes,
                        "streams": streaming,
                        "modules": list(written.modules),
                        "python_version": written.python,
                    }
                },
            ),
        ),
        is_probed=False,
        facts={
            "takes": takes,
            "streams": streaming,
            "travels_with": list(written.modules),
            "may_block": True,
            **({"looks_at_others": True} if looks else {}),
        },
    )


def _library_of(takes: Takes) -> dict[str, str]:
    """Return the library whose frames or arrays a model is handed, with its version."""
    name = {"arrow": "pyarrow", "numpy": "numpy", "tensors": "numpy", "pandas": "pandas", "polars": "polars"}.get(takes)
    owner = distribution_of(name) if name else None
    return {} if owner is None else dict([owner])


def _name(model: Any) -> str:
    while isinstance(model, functools.partial):
        model = model.func
    return str(getattr(model, "__name__", None) or type(model).__name__)


def _function_of(model: Any, name: str) -> Callable[..., Any]:
    """Return the function that answers, with its own object as first parameter where it is still a class."""
    function = method_of(model)
    if isinstance(model, type):
        if function is model:
            raise InvalidInput(
                f"the class '{name}' has no predict", why="a class answers by its method predict(self, rows)"
            )
        if isinstance(inspect.getattr_static(model, "predict"), (staticmethod, classmethod)):
            return function
        return functools.partial(function, None)
    return function


def takes_of(function: Callable[..., Any], example: Any, name: str) -> Takes:
    """Say in which form a function takes rows: by the name `row`, by its annotation, else as the example is.

    Raises:
        InvalidInput: It does not take exactly one argument, or says of it what is no form of rows.
    """
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise InvalidInput(
            f"'{name}' is async",
            why="models are asked from threads, several at once",
            fix="write it as a plain def; inside it asyncio.run(...) may run what is async",
        )
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError) as error:
        raise InvalidInput(
            f"'{name}' has no signature that can be read", why=str(error), fix="wrap it in a def"
        ) from error
    positional = [one for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    asked = [
        one for one in parameters if one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
    ]
    if len(positional) < 1 or len(asked) > 1 or (asked and asked[0] is not positional[0]):
        given = ", ".join(one.name for one in asked) or "none"
        raise InvalidInput(
            f"'{name}' takes {len(asked)} arguments ({given})",
            why="a model takes one: the rows, or `row` for one row as a dict",
            fix=f"def {name}(rows): ... or functools.partial({name}, ...)",
        )
    first = positional[0]
    if first.name == "row":
        return "row"
    if first.annotation is not first.empty and first.annotation not in (Any, "Any", "typing.Any"):
        return _by_annotation(first.annotation, name)
    return _by_example(example)


def _by_annotation(annotation: Any, name: str) -> Takes:
    text = annotation if isinstance(annotation, str) else _text_of(annotation)
    # of `list[dict]` and `dict[str, list]` the outer word counts, which is the first
    found = [(text.index(word), takes) for word, takes in _ANNOTATED if word in text]
    if found:
        return min(found, key=lambda one: one[0])[1]
    raise InvalidInput(
        f"'{name}' takes a {text}, in which no rows can be handed",
        why=f"a model takes rows as one of: {_FORMS}",
        fix="call it row (a dict), or annotate it pd.DataFrame, pl.DataFrame, pa.Table, np.ndarray, dict or list",
    )


def _text_of(annotation: Any) -> str:
    home = getattr(annotation, "__module__", "")
    return f"{home}.{annotation.__qualname__}" if isinstance(annotation, type) else str(annotation)


def _by_example(example: Any) -> Takes:
    home = type(example).__module__.partition(".")[0]
    if home in ("pandas", "polars"):
        return "pandas" if home == "pandas" else "polars"
    if home == "pyarrow":
        return "arrow"
    if home == "numpy":
        return "tensors" if example.ndim > 2 else "numpy"
    if isinstance(example, Mapping):
        return "tensors" if any(getattr(value, "ndim", 1) > 1 for value in example.values()) else "columns"
    return "rows" if isinstance(example, (list, tuple)) else "pandas"


def _inputs(example: Any, takes: Takes) -> tuple[tuple[Column, ...], dict[str, Any], Any]:
    """Return the input columns, the example by column, and its first rows as the model takes them."""
    if takes == "tensors":
        arrays = tensors_of(example)
        columns = tuple(tensor_column(name, values) for name, values in arrays.items())
        first = {name: values[:COMPARED_ROWS] for name, values in arrays.items()}
        return columns, dict(arrays), next(iter(first.values())) if len(first) == 1 else first
    if isinstance(example, (list, tuple)) and example and all(isinstance(row, Mapping) for row in example):
        import pyarrow as pa

        example = pa.Table.from_pylist([dict(row) for row in example])
    elif isinstance(example, Mapping) and not any(
        hasattr(value, "__len__") and not isinstance(value, str) for value in example.values()
    ):
        example = {name: [value] for name, value in example.items()}
    table = example_table(example, None)
    columns = input_columns(table)
    return columns, plain_columns(table, columns), _natural(table.slice(0, COMPARED_ROWS), columns, takes)


def _natural(table: pa.Table, columns: Sequence[Column], takes: Takes) -> Any:
    """Return rows in the form in which a model takes them."""
    plain = plain_columns(table, columns)
    if takes in ("row", "rows"):
        return [dict(zip(plain, values, strict=True)) for values in zip(*plain.values(), strict=True)]
    if takes == "columns":
        return plain
    if takes == "numpy":
        import numpy as np

        return np.column_stack([np.asarray(values) for values in plain.values()])
    if takes == "pandas":
        return table.to_pandas()
    if takes == "polars":
        import polars

        return polars.from_arrow(table)
    return table


class _InMemory:
    """A model as it is here, asked in the form it takes; one that has to be set up first is asked as a copy."""

    def __init__(self, model: Any, code: bytes, takes: Takes, *, streaming: bool, name: str) -> None:
        ready = read_carried(code) if isinstance(model, type) or hasattr(model, "load") else model
        self._function = answering(ready)
        self._takes = takes
        self._streaming = streaming
        self._name = name

    def ask(self, rows: Any) -> dict[str, Any]:
        """Return its answers by output.

        Raises:
            InvalidInput: It does not answer every row, or with something else than values.
            StepFailed: It raised.
        """
        size = _size(rows)
        try:
            if self._streaming:
                handed = rows if self._takes == "row" else [_some(rows, at, at + 1) for at in range(size)]
                answer: Any = [_streamed(self._function, one, self._name) for one in handed]
            elif self._takes == "row":
                answer = [self._function(row) for row in rows]
            else:
                answer = self._function(rows)
        except InvalidInput:
            raise
        except (Exception, SystemExit) as error:
            raise StepFailed(
                f"'{self._name}' fails on its example",
                why=blame(error),
                fix=f"{self._name}(example) has to work before it is registered",
            ) from error
        return answer_columns(answer, rows=size)

    def looks_at_others(self, rows: Any, answers: Mapping[str, Any]) -> bool:
        """Say whether a row alone gets another answer than among others.

        Raises:
            InvalidInput: It answers the same row differently each time.
        """
        for at in range(min(ALONE_ROWS, _size(rows))):
            alone = self.ask(_some(rows, at, at + 1))
            among = {name: values[at : at + 1] for name, values in answers.items()}
            if largest_difference(among, alone) <= TOLERANCE:
                continue
            if largest_difference(alone, self.ask(_some(rows, at, at + 1))) > TOLERANCE:
                raise InvalidInput(
                    f"'{self._name}' answers the same row differently each time",
                    why="what was registered is compared with what is served, and answers are replayed",
                    fix="draw from a generator with a fixed seed, and take the time as a column",
                )
            return True
        return False


def _size(rows: Any) -> int:
    return len(next(iter(rows.values()))) if isinstance(rows, Mapping) else len(rows)


def _some(rows: Any, start: int, end: int) -> Any:
    if isinstance(rows, Mapping):
        return {name: values[start:end] for name, values in rows.items()}
    return rows[start:end]


def _streamed(function: Callable[..., Any], row: Any, name: str) -> dict[str, Any]:
    parts = [part if isinstance(part, Mapping) else {PREDICTION: part} for part in function(row)]
    if not parts:
        raise InvalidInput(f"'{name}' yields nothing for its example", why="a stream has at least one part")
    return joined(parts)


def _outputs(answers: Mapping[str, Any]) -> tuple[Column, ...]:
    return tuple(output_column(name, values) for name, values in answers.items())


def output_column(name: str, values: Any) -> Column:
    """Return the column of an answer, by the values that it has for the example.

    Raises:
        InvalidInput: They are of no type that can be answered.
    """
    if not isinstance(values, list):
        return Column(name, *_tensor_type(values), shape=(-1, *values.shape[1:]), datatype=datatype_of(values))
    known = [value for value in values if value is not None]
    types: tuple[tuple[ColumnType, Any], ...] = (
        ("boolean", bool),
        ("long", int),
        ("double", (int, float)),
        ("string", str),
    )
    for kind, accepted in types:
        if known and all(
            isinstance(value, accepted) and (kind == "boolean" or not isinstance(value, bool)) for value in known
        ):
            if kind == "long" and len(known) < len(values):
                kind = "double"
            return Column(name, kind, nullable=len(known) < len(values))
    if known and all(hasattr(value, "isoformat") for value in known):
        return Column(name, "string", nullable=len(known) < len(values))
    culprit = next((value for value in known if not isinstance(value, (bool, int, float, str))), None)
    what = f"it holds a {type(culprit).__name__}" if culprit is not None else "its values are of several types, or none"
    raise InvalidInput(
        f"the model's answer '{name}' has no type that can be sent",
        why=f"{what}; expected truth values, numbers or texts",
        fix="return one plain value for each row and name, or an array",
    )


def _tensor_type(values: Any) -> tuple[ColumnType, bool]:
    kinds: dict[str, ColumnType] = {"b": "boolean", "i": "long", "u": "long", "f": "double"}
    return kinds.get(values.dtype.kind, "string"), False


def _expected(values: Any, column: Column) -> Any:
    if column.shape is not None:
        return values
    if column.type == "double":
        return [float("nan") if value is None else float(value) for value in values]
    return [value.isoformat() if hasattr(value, "isoformat") else value for value in values]


PYTHON = ModelKind(
    flavor="python_function",
    takes="a Python function of the rows, or a class or object with `predict`",
    recognises=lambda model: callable(model) or hasattr(model, "predict"),
    package=_package,
)
