"""Answer MLflow's GraphQL endpoint, which its web UI asks for runs, experiments, metrics and files.

Each field is answered by the REST endpoint of the same name, so that both say the same.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from interlock.core.errors import InterlockError
from interlock.server.http import JSON_TYPE, Answer, Request, Response
from interlock.server.mlflow.graphql_schema import ANSWERED_BY, EXPERIMENT, RUNS_SEARCH, SCHEMA, VERSIONS
from interlock.server.mlflow.search import Runs, found_runs
from interlock.server.mlflow.wire import Endpoint, Failure, Ground, RawEndpoint, camel, convert, packed, raw, read
from interlock.server.router import Route

if TYPE_CHECKING:
    from graphql import (
        DocumentNode,
        FragmentDefinitionNode,
        GraphQLError,
        GraphQLResolveInfo,
        GraphQLSchema,
        SelectionSetNode,
    )

PATH = "/graphql"
LONGEST_QUERY = 100_000
MOST_TOKENS = 10_000
MOST_ROOT_FIELDS = 10
MOST_ALIASES = 10
MOST_SELECTIONS = 1000
DEEPEST = 10


class _Ask(msgspec.Struct):
    query: str = ""
    variables: dict[str, Any] | None = None
    operation_name: str | None = msgspec.field(name="operationName", default=None)


class GraphqlAnswer(msgspec.Struct, frozen=True):
    """What was asked for, and what went wrong."""

    data: dict[str, Any] | None
    errors: list[str] | None


def routes(endpoints: Sequence[Endpoint | RawEndpoint], ground: Ground) -> list[Route]:
    """Return the route of the GraphQL endpoint.

    Args:
        endpoints: Those of the REST API.
        ground: What they stand on.
    """
    answering = {one.path: one for one in endpoints if isinstance(one, Endpoint)}

    async def answer(ground: Ground, request: Request) -> Answer:
        asked: _Ask = await read(request, _Ask, most_bytes=4 * LONGEST_QUERY)
        return await ground.workers.run(_answered, ground, answering, request, asked)

    return [
        Route(method="POST", path=path, access="api", handler=raw(answer, ground), media_types=(JSON_TYPE,))
        for path in (PATH, f"/ajax-api{PATH}")
    ]


def _answered(ground: Ground, answering: Mapping[str, Endpoint], request: Request, asked: _Ask) -> Response:
    from graphql import GraphQLError, parse, validate
    from graphql.execution import execute_sync

    try:
        if len(asked.query) > LONGEST_QUERY:
            raise GraphQLError(f"A query may have {LONGEST_QUERY} characters, got {len(asked.query)}")
        document = parse(asked.query, no_location=True, max_tokens=MOST_TOKENS)
        check_size(document)
    except (GraphQLError, RecursionError) as error:
        return _write(request, None, [error])
    schema = _schema()
    if errors := validate(schema, document, max_errors=20):
        return _write(request, None, errors)
    result = execute_sync(
        schema,
        document,
        context_value=_Resolver(ground, answering),
        variable_values=asked.variables,
        operation_name=asked.operation_name,
        field_resolver=_resolve,
    )
    return _write(request, result.data, result.errors or [])


def _write(request: Request, data: Any, errors: Sequence[GraphQLError | RecursionError]) -> Response:
    said = [getattr(error, "message", "the query is nested too deeply") for error in errors]
    return packed(request, msgspec.json.encode(GraphqlAnswer(data, said or None)), media_type=JSON_TYPE)


def check_size(document: DocumentNode) -> None:
    """Refuse a query that asks for more than the web UI ever does, before anything is looked up.

    Raises:
        GraphQLError: It has too many root fields, aliases or selections, or is too deep.
    """
    from graphql import FragmentDefinitionNode, GraphQLError, OperationDefinitionNode

    fragments = {one.name.value: one for one in document.definitions if isinstance(one, FragmentDefinitionNode)}
    roots = aliases = selections = 0
    for operation in document.definitions:
        if not isinstance(operation, OperationDefinitionNode):
            continue
        waiting = [(operation.selection_set, 1)]
        while waiting:
            within, depth = waiting.pop()
            if depth > DEEPEST:
                raise GraphQLError(f"Query exceeds maximum depth of {DEEPEST}")
            fields = _fields(within, fragments)
            roots += len(fields) if depth == 1 else 0
            selections += len(fields)
            if selections > MOST_SELECTIONS:
                raise GraphQLError(f"Query exceeds maximum total selections of {MOST_SELECTIONS}")
            aliases = max(aliases, sum(one.alias is not None for one in fields))
            waiting += [(one.selection_set, depth + 1) for one in fields if one.selection_set is not None]
    for found, most, of in ((roots, MOST_ROOT_FIELDS, "root fields"), (aliases, MOST_ALIASES, "aliases")):
        if found > most:
            raise GraphQLError(f"GraphQL queries should have at most {most} {of}, got {found} {of}.")


def _fields(within: SelectionSetNode, fragments: Mapping[str, FragmentDefinitionNode]) -> list[Any]:
    """Return the fields of one level, those of its fragments among them; each fragment counts once."""
    from graphql import FieldNode, FragmentSpreadNode, InlineFragmentNode

    found: list[Any] = []
    seen: set[str] = set()
    waiting = list(within.selections)
    while waiting:
        one = waiting.pop()
        if isinstance(one, FieldNode):
            found.append(one)
        elif isinstance(one, InlineFragmentNode):
            waiting += one.selection_set.selections
        elif isinstance(one, FragmentSpreadNode) and one.name.value not in seen:
            seen.add(one.name.value)
            fragment = fragments.get(one.name.value)
            waiting += fragment.selection_set.selections if fragment else ()
    return found


@functools.cache
def _schema() -> GraphQLSchema:
    from graphql import build_schema

    return build_schema(SCHEMA)


class _Resolver:
    """Asks the endpoints; what one query asks for twice is looked up once."""

    def __init__(self, ground: Ground, answering: Mapping[str, Endpoint]) -> None:
        self._ground = ground
        self._answering = answering
        self._known: dict[bytes, Any] = {}

    def ask(self, path: str, fields: Mapping[str, Any]) -> Any:
        """Return what an endpoint answers, as plain values."""
        key = msgspec.json.encode([path, fields], order="deterministic")
        if key not in self._known:
            self._known[key] = self._asked(path, fields)
        return self._known[key]

    def _asked(self, path: str, fields: Mapping[str, Any]) -> Any:
        if path == RUNS_SEARCH:
            found: Any = found_runs(self._ground, convert(fields, Runs))
        else:
            endpoint = self._answering[path]
            found = endpoint.handle(self._ground, convert(fields, endpoint.request))
        return msgspec.to_builtins(found)


def _resolve(source: Any, info: GraphQLResolveInfo[_Resolver], **arguments: Any) -> Any:
    """Return the value of a field."""
    name, resolver = info.field_name, info.context
    try:
        if info.parent_type.name in ("Query", "Mutation"):
            if name in ANSWERED_BY:
                return resolver.ask(ANSWERED_BY[name], arguments.get("input") or {})
            return {"output": arguments.get("inputString")}
        if info.parent_type.name == "MlflowRunExtension":
            if name == "experiment":
                fields = {"experiment_id": source["info"]["experiment_id"]}
                return resolver.ask(EXPERIMENT, fields)["experiment"]
            if name == "modelVersions":
                found = resolver.ask(VERSIONS, {"filter": f"run_id='{source['info']['run_id']}'"})
                return found.get("model_versions", [])
    except Failure as failure:
        raise _said(failure.message) from failure
    except InterlockError as error:
        raise _said(f"{error.what}: {error.why}") from error
    return _of_record(source, name, kind=str(info.return_type))


def _said(text: str) -> GraphQLError:
    from graphql import GraphQLError

    return GraphQLError(text)


def _of_record(source: Mapping[str, Any], name: str, *, kind: str) -> Any:
    """Return a field of a record, whose names are in snake case; numbers that JSON has not are null."""
    value = next((found for key, found in source.items() if camel(key) == name), _ABSENT.get(name))
    if kind.startswith("["):
        return value or []
    if kind == "LongString":
        return None if value is None else str(value)
    if kind == "Float" and (isinstance(value, str) or value is not None and not math.isfinite(value)):
        return None
    return value


_ABSENT: dict[str, Any] = {"context": "", "fileSize": 0, "nextPageToken": ""}
"""What REST answers leave out where protobuf has a value."""
