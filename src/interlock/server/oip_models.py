"""Say of servers and models what the Open Inference Protocol and its extensions ask: metadata, config, statistics.

Source: the Open Inference Protocol (V2), with the extensions `model_configuration`, `model_repository` and
`statistics`, as NVIDIA's client expects them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from interlock.core.schema import Column, Signature
from interlock.server.hosting import EndpointHost
from interlock.server.oip import datatype
from interlock.serving.engine import EndpointEngine
from interlock.serving.routing import Deployed
from interlock.serving.statistics import BATCH_SIZES, Counted
from interlock.serving.tensor_check import is_whole
from interlock.serving.validation import MAX_ROWS

EXTENSIONS = (
    "binary_tensor_data",
    "classification",
    "logging",
    "model_configuration",
    "model_repository",
    "model_repository(unload_dependents)",
    "parameters",
    "statistics",
    "trace",
)
PLATFORM = "interlock"


def server_metadata(version: str) -> dict[str, Any]:
    """Return what the server is."""
    return {"name": PLATFORM, "version": version, "extensions": EXTENSIONS}


def model_metadata(engine: EndpointEngine, version: str | None) -> dict[str, Any]:
    """Return what an endpoint takes and gives.

    Raises:
        NotFound: The version does not answer behind it.
        Unavailable: Nothing is loaded yet.
    """
    routing = engine.routing
    one = routing.version(version) if version else routing.live
    return {
        "name": engine.name,
        "versions": [each.model.version for each in routing.answering],
        "platform": f"{PLATFORM}_{one.model.engine}",
        "inputs": [_tensor(column) for column in routing.live.model.signature.inputs],
        "outputs": [_tensor(column) for column in routing.live.model.signature.outputs],
    }


def _tensor(column: Column) -> dict[str, Any]:
    return {"name": column.name, "datatype": datatype(column), "shape": _shape(column)}


def _shape(column: Column) -> list[int]:
    return [-1] if column.shape is None else list(column.shape)


def model_config(engine: EndpointEngine, version: str | None) -> dict[str, Any]:
    """Return the configuration of a version in Triton's form, made from its signature.

    Raises:
        NotFound: The version does not answer behind the endpoint.
        Unavailable: Nothing is loaded yet.
    """
    routing = engine.routing
    one = routing.version(version) if version else routing.live
    signature = routing.live.model.signature
    batches = _batches(signature)
    return {
        "name": engine.name,
        "platform": f"{PLATFORM}_{one.model.engine}",
        "backend": PLATFORM,
        "version_policy": {"specific": {"versions": [_number(each) for each in routing.answering]}},
        "max_batch_size": MAX_ROWS if batches else 0,
        "input": [
            {**_config(column, batches), "format": "FORMAT_NONE", "optional": False} for column in signature.inputs
        ],
        "output": [{**_config(column, batches), "label_filename": ""} for column in signature.outputs],
    }


def _batches(signature: Signature) -> bool:
    """Say whether all that goes in and comes out has rows and something in them: what Triton calls batching."""
    columns = (*signature.inputs, *signature.outputs)
    return not is_whole(signature) and all(column.shape is not None and len(column.shape) > 1 for column in columns)


def _number(one: Deployed) -> int:
    return int(one.model.version) if one.model.version.isdecimal() else 0


def _config(column: Column, batches: bool) -> dict[str, Any]:
    kind = datatype(column)
    return {
        "name": column.name,
        "data_type": "TYPE_STRING" if kind == "BYTES" else f"TYPE_{kind}",
        "dims": _shape(column)[1 if batches else 0 :],
    }


def repository_index(engines: Mapping[str, EndpointEngine], *, only_ready: bool) -> list[dict[str, Any]]:
    """Return every endpoint and version with its state."""
    index: list[dict[str, Any]] = []
    for engine in engines.values():
        reason = engine.problem.what if engine.problem else ""
        if engine.is_ready:
            index += [
                {"name": engine.name, "version": one.model.version, "state": "READY", "reason": reason}
                for one in engine.routing.answering
            ]
        elif not only_ready:
            state = "unloaded" if engine.is_unloaded else "it rests until it is asked" if engine.is_resting else ""
            reason = reason or state or "it is not loaded yet"
            index.append({"name": engine.name, "state": "UNAVAILABLE", "reason": reason})
    return index


def statistics(host: EndpointHost, name: str | None = None, version: str | None = None) -> dict[str, Any]:
    """Return what each version did, in all processes of this machine. Unit: counts and nanoseconds.

    Batches are counted by the next power of two, and their times are not kept apart: these are 0.

    Args:
        host: The endpoints.
        name: The one endpoint that is asked about; all by default.
        version: The one version that is asked about; all by default.

    Raises:
        NotFound: There is no such endpoint, or the version is not behind it.
    """
    engines = host.engines.values() if name is None else [host.engine(name)]
    counted = host.statistics.read()
    return {
        "model_stats": [
            _statistics_of(engine, one, counted.get((engine.name, one.model.ref, one.role)) or one.statistics.read())
            for engine in engines
            if engine.is_ready
            for one in ([engine.routing.version(version)] if version else engine.routing.deployed)
        ]
    }


def _statistics_of(engine: EndpointEngine, one: Deployed, done: Counted) -> dict[str, Any]:
    busy = _duration(done.requests, done.busy_ns)
    none = _duration(0, 0)
    return {
        "name": engine.name,
        "version": one.model.version,
        "last_inference": done.last_ms,
        "inference_count": done.rows,
        "execution_count": done.executions,
        "inference_stats": {
            "success": busy,
            "fail": _duration(sum(done.failures.values()), done.failed_ns),
            "queue": _duration(done.requests, done.queue_ns),
            "compute_input": none,
            "compute_infer": busy,
            "compute_output": none,
            "cache_hit": none,
            "cache_miss": none,
        },
        "batch_stats": [
            {
                "batch_size": size,
                "compute_input": none,
                "compute_infer": _duration(count, 0),
                "compute_output": none,
            }
            for size, count in zip((*BATCH_SIZES, 2 * BATCH_SIZES[-1]), done.batches, strict=True)
            if count
        ],
        "memory_usage": [],
        "response_stats": {},
    }


def _duration(count: int, ns: int) -> dict[str, int]:
    return {"count": count, "ns": ns}
