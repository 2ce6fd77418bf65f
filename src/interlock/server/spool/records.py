"""Say what a write is: which MLflow call it makes, what it is about, and what has to be sent."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from interlock.server.mlflow.wire import Failure

_V2 = "/api/2.0/mlflow"
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
OTLP_TRACES = "/v1/traces"

_PARAMETRISED = (
    ("PATCH", re.compile(f"{_V2}/logged-models/([^/]+)"), "finalize-model"),
    ("PATCH", re.compile(f"{_V2}/logged-models/([^/]+)/tags"), "set-model-tags"),
    ("DELETE", re.compile(f"{_V2}/logged-models/([^/]+)/tags/([^/]+)"), "delete-model-tag"),
    ("POST", re.compile(f"{_V2}/logged-models/([^/]+)/params"), "log-model-params"),
    ("PATCH", re.compile(f"{_V2}/traces/([^/]+)/tags"), "set-trace-tag"),
    ("PUT", re.compile(f"{ARTIFACTS}/(.+)"), "put-artifact"),
)
_OF_RUNS = {
    "runs/update": "update-run",
    "runs/delete": "delete-run",
    "runs/restore": "restore-run",
    "runs/log-metric": "log-metric",
    "runs/log-parameter": "log-parameter",
    "runs/log-batch": "log-batch",
    "runs/set-tag": "set-tag",
    "runs/delete-tag": "delete-tag",
    "runs/log-inputs": "log-inputs",
    "runs/outputs": "log-outputs",
    "runs/log-model": "log-model",
}
RUN_CALLS = frozenset(_OF_RUNS.values())
"""Calls that change one run."""
_CALLS = {
    **{("POST", f"{_V2}/{path}"): name for path, name in _OF_RUNS.items()},
    ("POST", f"{_V2}/experiments/create"): "create-experiment",
    ("POST", f"{_V2}/experiments/set-experiment-tag"): "set-experiment-tag",
    ("POST", f"{_V2}/runs/create"): "create-run",
    ("POST", f"{_V2}/logged-models"): "create-model",
    ("POST", "/api/3.0/mlflow/traces"): "start-trace",
    ("POST", OTLP_TRACES): "otlp-traces",
}
_NEEDED = {
    "create-experiment": "name",
    "create-run": "experiment_id",
    "create-model": "experiment_id",
    "set-experiment-tag": "experiment_id",
    "log-metric": "key",
    "log-parameter": "key",
    "set-tag": "key",
    "delete-tag": "key",
}
_LIKE_AN_ID = re.compile(rb"(?:[a-z]{1,2}-)?[0-9A-Za-z]{20,64}")
MADE_BY = {"create-experiment": "experiment", "create-run": "run", "create-model": "model"}
"""Calls whose answer holds an id, and of what."""
IDEMPOTENCY = "idempotency-key"
"""The header by which a server that knows of it creates a thing once, however often it is asked."""
KEPT_HEADERS = (
    "content-type",
    "content-encoding",
    "user-agent",
    "x-mlflow-workspace",
    "x-mlflow-experiment-id",
    IDEMPOTENCY,
)
"""What is sent on with a write later; credentials are not, as they would have to be written to the disk."""


class Call(NamedTuple):
    """Which call an address is, and what its path names.

    Args:
        name: The call.
        names: The variable parts of the path.
    """

    name: str
    names: tuple[str, ...] = ()


class Write(msgspec.Struct, array_like=True, frozen=True):
    """One write as it lies in the log.

    Args:
        call: Which call it makes.
        method: HTTP method.
        target: Path and query, as the client sent them.
        headers: What of its headers matters.
        body: Its body, unless that lies in a file.
        accepted_at_ms: When it was acknowledged, in milliseconds since 1970.
        about: Ids of what it changes.
        needs: Ids of what has to be there for it.
        makes: The id that the spool gave to what it creates.
        file: Name of the file that holds its body.
        file_bytes: Size of that file.
        asked: Digest of the request that asked for a new run or model.
        attempted: Whether it was sent upstream before, so that it may have had its effect.
    """

    call: str
    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    accepted_at_ms: int
    about: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    makes: str = ""
    file: str = ""
    file_bytes: int = 0
    asked: str = ""
    attempted: bool = False

    @property
    def path(self) -> str:
        """The path without the query."""
        return self.target.partition("?")[0]

    @property
    def size_bytes(self) -> int:
        """What it takes up on disk, without its frame."""
        return len(self.body) + self.file_bytes


encode_write = msgspec.msgpack.Encoder().encode
decode_write = msgspec.msgpack.Decoder(Write).decode


def call_of(method: str, path: str) -> Call | None:
    """Return which write an address is, or None where it is none that a spool can take."""
    path = rooted(path)
    name = _CALLS.get((method, path))
    if name is not None:
        return Call(name)
    for wanted, pattern, name in _PARAMETRISED:
        if method == wanted and (found := pattern.fullmatch(path)):
            return Call(name, found.groups())
    return None


def rooted(path: str) -> str:
    """Return the path under the root that clients use; the web interface uses another for the same."""
    return path.removeprefix("/ajax-api").join(("/api", "")) if path.startswith("/ajax-api/") else path


def read_object(body: bytes) -> dict[str, Any]:
    """Read a JSON body.

    Raises:
        Failure: It is no JSON object.
    """
    try:
        value = msgspec.json.decode(body) if body else {}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Failure("INVALID_PARAMETER_VALUE", f"Invalid request: {error}") from error
    if not isinstance(value, dict):
        raise Failure("INVALID_PARAMETER_VALUE", "Invalid request: the body is not a JSON object.")
    return value


class Subjects(NamedTuple):
    """What a call is about, by id.

    Args:
        about: What it changes.
        needs: What has to be there for it.
    """

    about: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()


def subjects(call: Call, fields: Mapping[str, Any]) -> Subjects:
    """Return what a call is about.

    Raises:
        Failure: The request does not say.
    """
    if call.name in _NEEDED:
        text(fields, _NEEDED[call.name])
    if call.name in RUN_CALLS:
        return Subjects((run_of(fields),))
    match call.name:
        case "create-experiment":
            return Subjects((f"name:{fields['name']}",))
        case "create-run" | "create-model":
            source = fields.get("source_run_id")
            return Subjects((), (fields["experiment_id"], *([source] if isinstance(source, str) else [])))
        case "set-experiment-tag":
            return Subjects((fields["experiment_id"],))
        case "start-trace":
            info = _mapping(_mapping(fields.get("trace")).get("trace_info"))
            place = _mapping(_mapping(info.get("trace_location")).get("mlflow_experiment"))
            experiment = place.get("experiment_id")
            return Subjects((text(info, "trace_id"),), (experiment,) if isinstance(experiment, str) else ())
        case "put-artifact":
            # an artifact belongs to whatever run, model or trace its path goes through
            return Subjects(mentioned(call.names[0].rpartition("/")[0].encode()))
    return Subjects(call.names[:1])


def mentioned(*texts: bytes) -> tuple[str, ...]:
    """Return what stands in a text that looks like the id of a run, a model or a trace."""
    return tuple({found[0].decode() for text in texts for found in _LIKE_AN_ID.finditer(text)})


def run_of(fields: Mapping[str, Any]) -> str:
    """Return the run that a request is about, in the spelling of today or of old clients.

    Raises:
        Failure: There is none.
    """
    return text(fields, "run_id" if fields.get("run_id") or not fields.get("run_uuid") else "run_uuid")


def text(fields: Mapping[str, Any], name: str) -> str:
    """Return a field that has to be a text that is not empty.

    Raises:
        Failure: It is not.
    """
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise Failure("INVALID_PARAMETER_VALUE", f"Missing value for required parameter '{name}'.")
    return value


def invent_id(kind: str) -> str:
    """Make an id in the form in which MLflow makes those of a kind, in a form that `Ids` finds in any text."""
    if kind == "experiment":
        # MLflow's experiments are numbered; 32 digits are a number that it never gives
        return str(10**31 + secrets.randbelow(9 * 10**31))
    return f"{'m-' if kind == 'model' else ''}{secrets.token_hex(16)}"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
