"""Graphs: models made of registered versions that are asked together, or each for its own rows."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias, get_args

import msgspec

from interlock.core.errors import InvalidInput, SchemaMismatch, did_you_mean
from interlock.core.model_graphs import (
    LABEL,
    Branch,
    Combine,
    Combining,
    Node,
    Operator,
    Use,
    conditions,
    evaluate,
)
from interlock.core.python_models import Head, write_model
from interlock.core.refs import Ref
from interlock.core.schema import Column, Signature
from interlock.ports.model_store import ModelVersion
from interlock.registry.flavors.python import output_column
from interlock.registry.kinds import Form, ModelKind, Options, Package
from interlock.registry.signatures import example_table, input_columns, plain_columns
from interlock.registry.travelling import carried

GRAPH_FILE = "graph.json"
ENGINE = "graph"
COMPARED_ROWS = 100

_OPERATORS: Mapping[type[ast.cmpop], Operator] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.In: "in",
    ast.NotIn: "not in",
}


class ModelGraph:
    """A model made of others, before it is registered; `ensemble` and `branch` make one."""

    def __init__(self, node: Node, functions: Sequence[Callable[..., Any]] = ()) -> None:
        self.node = node
        self.functions = tuple(functions)

    def __repr__(self) -> str:
        return words(self.node)


Part: TypeAlias = str | ModelGraph
"""A member of a graph: the Ref of a model (`model:delay@champion`, pinned when the graph is registered), or a graph."""


def ensemble(*of: Part, combine: str | Callable[..., Any] = "mean", weights: Sequence[float] = ()) -> ModelGraph:
    """Return a model that asks several others every row, and puts their answers together.

    Args:
        of: Refs of models, or graphs.
        combine: `mean` or `median` of the numbers (labels follow the combined probabilities), `vote` for the label that
            most give, or a function that is given the list of their answers (each a dict of lists) and returns one.
        weights: How much each counts in a mean or a vote; all the same by default.

    Raises:
        InvalidInput: There are no members, or the weights do not fit them.

    Example:
        model = interlock.ensemble("model:trees@3", "model:linear@champion", combine="mean", weights=[2, 1])
        workspace.registry.register("delay", model, example=frame)
    """
    if not of:
        raise InvalidInput(
            "an ensemble has no members", why="expected at least one", fix='ensemble("model:a", "model:b")'
        )
    if weights and (len(weights) != len(of) or min(weights) < 0 or sum(weights) <= 0):
        raise InvalidInput(
            f"the weights {list(weights)} do not fit {len(of)} members",
            why="expected one for each, none below zero, and one above it",
        )
    functions: list[Callable[..., Any]] = []
    parts = tuple(_part(one, functions) for one in of)
    if callable(combine):
        if weights:
            raise InvalidInput("a combining function takes no weights", why="it is given all answers as they are")
        functions.append(combine)
        return ModelGraph(Combine(parts, "function", function=len(functions) - 1), functions)
    known: tuple[Combining, ...] = tuple(one for one in get_args(Combining) if one != "function")
    if combine not in known or (weights and combine == "median"):
        raise InvalidInput(
            f"answers cannot be combined by '{combine}'" + (" with weights" if weights else ""),
            why=did_you_mean(combine, known),
            fix='combine="mean"',
        )
    return ModelGraph(Combine(parts, combine, tuple(map(float, weights))), functions)


def branch(condition: str | tuple[str, str, Any], *, then: Part, otherwise: Part) -> ModelGraph:
    """Return a model that asks one of two others, row by row, as the value of a column says.

    Args:
        condition: `distance > 1000`, `carrier in ['AA', 'UA']`, or its three parts where the column is no plain name.
        then: Who is asked the rows for which it holds.
        otherwise: Who is asked all others, also those without a value.

    Raises:
        InvalidInput: The condition cannot be read.
    """
    column, operator, value = _condition(condition)
    functions: list[Callable[..., Any]] = []
    sides = _part(then, functions), _part(otherwise, functions)
    return ModelGraph(Branch(column, operator, value, *sides), functions)


def _part(one: Part, functions: list[Callable[..., Any]]) -> Node:
    if isinstance(one, ModelGraph):
        shift = len(functions)
        functions += one.functions
        return _shifted(one.node, shift)
    Ref.parse(one, kind="model")
    return Use(one)


def _shifted(node: Node, shift: int) -> Node:
    """Return a graph whose functions come after so many others."""
    if isinstance(node, Combine):
        function = node.function + shift if node.function >= 0 else -1
        return msgspec.structs.replace(node, of=tuple(_shifted(one, shift) for one in node.of), function=function)
    if isinstance(node, Branch):
        return msgspec.structs.replace(node, then=_shifted(node.then, shift), otherwise=_shifted(node.otherwise, shift))
    return node


def _condition(condition: str | tuple[str, str, Any]) -> tuple[str, Operator, Any]:
    if not isinstance(condition, str):
        column, operator, value = condition
        if operator not in get_args(Operator):
            raise InvalidInput(f"'{operator}' compares nothing", why=f"expected one of {', '.join(get_args(Operator))}")
        return column, operator, value  # type: ignore[return-value]  # checked by the line above
    try:
        said = ast.parse(condition.strip(), mode="eval").body
        if isinstance(said, ast.Compare) and isinstance(said.left, ast.Name) and len(said.ops) == 1:
            operator = _OPERATORS[type(said.ops[0])]
            value = ast.literal_eval(said.comparators[0])
            return said.left.id, operator, list(value) if isinstance(value, (tuple, set)) else value
    except (SyntaxError, ValueError, KeyError):
        pass
    raise InvalidInput(
        f"the condition '{condition[:100]}' cannot be read",
        why="expected a column, one comparison and a plain value",
        fix='"distance > 1000", "carrier in [\'AA\', \'UA\']", or the three parts: ("column name", ">", 1000)',
    )


def words(node: Node) -> str:
    """Return a graph in words, as cards and lists show it.

    Example:
        >>> words(Combine((Use("model:a@1"), Use("model:b@2"))))
        'mean of a@1, b@2'
    """
    if isinstance(node, Use):
        return node.ref.removeprefix("model:")
    if isinstance(node, Combine):
        inner = ", ".join(words(one) if isinstance(one, Use) else f"({words(one)})" for one in node.of)
        how = f"weighted {node.how}" if node.weights else node.how
        return f"{how} of {inner}"
    return f"{words(node.then)} if {node.column} {node.operator} {node.value!r}, else {words(node.otherwise)}"


def _package(graph: ModelGraph, example: Any, options: Options) -> Package:
    if options.resolve is None or options.load is None:
        raise InvalidInput("a graph is registered where its members are", why="this registry has no members")
    versions: dict[str, ModelVersion] = {}
    node = _pinned(graph.node, options.resolve, versions)
    columns = _inputs(versions.values(), node)
    names = [column.name for column in columns]
    if example is None:
        example = _known_example(versions.values(), names, options)
    table = example_table(example, None)
    for name in names:
        if name not in table.column_names:
            raise SchemaMismatch(
                f"the example lacks the column '{name}'",
                why=f"a member takes it; {did_you_mean(name, table.column_names)}",
                fix="pass example rows with every column that a member takes",
            )
    table = table.select(names)
    input_columns(table)
    plain = plain_columns(table, columns)
    first = {name: values[:COMPARED_ROWS] for name, values in plain.items()}
    rows = len(first[names[0]])
    loaded = {ref: options.load(ref) for ref in versions}

    def ask(ref: str, asked: Mapping[str, Sequence[Any]], size: int) -> Mapping[str, Any]:
        return loaded[ref].predict([asked[name] for name in versions[ref].signature.input_names], rows=size)

    outputs = _outputs(node, versions)
    answers = evaluate(node, first, rows=rows, ask=ask, functions=graph.functions)
    if outputs is None:
        listed = {name: values.tolist() if hasattr(values, "tolist") else values for name, values in answers.items()}
        outputs = tuple(output_column(name, values) for name, values in listed.items())
    files, libraries = _files(node, graph, options)
    may_block = bool(graph.functions) or any(version.facts.get("may_block") for version in versions.values())
    return Package(
        flavor=ENGINE,
        title=words(node),
        signature=Signature(columns, outputs),
        example=plain,
        expected={column.name: answers[column.name] for column in outputs},
        native=(
            Form(
                engine=ENGINE,
                title="graph",
                files=files,
                libraries=libraries,
                flavors={"interlock_graph": {"data": GRAPH_FILE, "members": list(versions)}},
            ),
        ),
        is_probed=False,
        facts={"members": list(versions), **({"may_block": True} if may_block else {})},
        members=tuple(versions),
    )


def _files(node: Node, graph: ModelGraph, options: Options) -> tuple[dict[str, bytes], tuple[str, ...]]:
    files = {GRAPH_FILE: msgspec.json.format(msgspec.json.encode(node), indent=2)}
    libraries: list[str] = []
    for at, function in enumerate(graph.functions):
        written = carried(function, name=getattr(function, "__name__", "combine"))
        head = Head("rows", False, written.python, written.libraries)
        files[f"combine_{at}.signed"] = write_model(head, written.data, options.signer)
        libraries += written.libraries
    return files, tuple(dict.fromkeys(libraries))


def _pinned(node: Node, resolve: Callable[[str], ModelVersion], versions: dict[str, ModelVersion]) -> Node:
    """Return a graph whose members are exact versions; note these."""
    if isinstance(node, Use):
        version = resolve(node.ref)
        if not version.engine:
            raise InvalidInput(
                f"nothing here can serve {version.ref}", why="another tool made it; a graph asks its members itself"
            )
        versions[version.ref] = version
        return Use(version.ref)
    if isinstance(node, Combine):
        return msgspec.structs.replace(node, of=tuple(_pinned(one, resolve, versions) for one in node.of))
    return msgspec.structs.replace(
        node, then=_pinned(node.then, resolve, versions), otherwise=_pinned(node.otherwise, resolve, versions)
    )


def _inputs(versions: Iterator[ModelVersion] | Any, node: Node) -> tuple[Column, ...]:
    """Return every column that a member takes, or a branch looks at.

    Raises:
        SchemaMismatch: Two members take a column of the same name as different types.
    """
    found: dict[str, tuple[Column, str]] = {}
    for version in versions:
        if version.signature.is_tensor:
            raise InvalidInput(f"{version.ref} takes tensors", why="a graph hands out rows of plain columns")
        for column in version.signature.inputs:
            known, whose = found.setdefault(column.name, (column, version.ref))
            if known.type != column.type and {known.type, column.type} != {"long", "double"}:
                raise SchemaMismatch(
                    f"column '{column.name}' is {known.type} for {whose} and {column.type} for {version.ref}",
                    why="all members of a graph are handed the same rows",
                    fix="register one of them again with the other's type",
                )
            # a whole number fits where a float is expected, and not the other way
            kind = known.type if known.type == column.type else "long"
            found[column.name] = (
                msgspec.structs.replace(known, type=kind, nullable=known.nullable and column.nullable),
                whose,
            )
    for one in conditions(node):
        if one.column not in found:
            raise SchemaMismatch(
                f"the graph branches by '{one.column}', which no member takes",
                why=did_you_mean(one.column, found),
                fix="branch by a column of the members",
            )
    return tuple(column for column, _ in found.values())


def _outputs(node: Node, versions: Mapping[str, ModelVersion]) -> tuple[Column, ...] | None:
    """Return the outputs of a graph; None where only a function's answer tells.

    Raises:
        SchemaMismatch: The answers do not fit together.
    """
    if isinstance(node, Use):
        return versions[node.ref].signature.outputs
    if isinstance(node, Combine):
        several = [_outputs(one, versions) for one in node.of]
        if node.how == "function" or any(one is None for one in several):
            return None
        return _common([one or () for one in several], node)
    sides = _outputs(node.then, versions), _outputs(node.otherwise, versions)
    if None in sides:
        return None
    then, otherwise = ({column.name: column.type for column in side or ()} for side in sides)
    if then != otherwise:
        raise SchemaMismatch(
            f"the two sides of the branch by '{node.column}' give different answers",
            why=f"one gives {_shown(then)}, the other {_shown(otherwise)}",
            fix="branch between models that give the same outputs",
        )
    return sides[0]


def _common(several: Sequence[Sequence[Column]], node: Combine) -> tuple[Column, ...]:
    others = [{column.name: column for column in outputs} for outputs in several]
    found = []
    for column in several[0]:
        if not all(column.name in known for known in others):
            continue
        kinds = {known[column.name].type for known in others}
        if column.name == LABEL:
            if len(kinds) > 1:
                raise SchemaMismatch("the members' labels are of different types", why=" and ".join(sorted(kinds)))
            found.append(column)
        elif node.how != "vote" and kinds <= {"double", "long"}:
            found.append(Column(column.name, "double", nullable=False))
    if not found:
        raise SchemaMismatch(
            f"the members' answers cannot be put together by {node.how}",
            why="; ".join(_shown({column.name: column.type for column in outputs}) for outputs in several),
            fix="combine models of the same outputs, or give a function: ensemble(..., combine=function)",
        )
    return tuple(found)


def _shown(outputs: Mapping[str, str]) -> str:
    return ", ".join(f"{name} ({kind})" for name, kind in outputs.items())


def _known_example(versions: Iterator[ModelVersion] | Any, names: Sequence[str], options: Options) -> Any:
    """Return the example of a member that has every column.

    Raises:
        InvalidInput: None has.
    """
    for version in versions:
        if set(names) <= set(version.signature.input_names) and version.example and options.example_of is not None:
            return options.example_of(version)
    raise InvalidInput(
        "there is no example", why="no member takes all columns of the graph", fix="example=frame.head(100)"
    )


GRAPH = ModelKind(
    flavor=ENGINE,
    takes="an ensemble or branch of registered models",
    recognises=lambda model: isinstance(model, ModelGraph),
    package=_package,
)
