"""Join what was logged one by one into batches, so that catching up takes a fraction of the calls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from interlock.server.spool.records import Write

METRICS, PARAMS, TAGS, ENTRIES = 1000, 100, 100, 1000
"""What MLflow takes in one batch: of each, and together."""
BODY_BYTES = 900_000
BATCH_PATH = "/api/2.0/mlflow/runs/log-batch"

_POINT_FIELDS = frozenset({"key", "value", "timestamp", "step", "model_id", "dataset_name", "dataset_digest"})
_Fields = dict[str, msgspec.Raw]
_read_fields = msgspec.json.Decoder(_Fields).decode


class _Parts(msgspec.Struct):
    metrics: list[_Fields] = []
    params: list[_Fields] = []
    tags: list[_Fields] = []


_read_parts = msgspec.json.Decoder(_Parts).decode


class Batch:
    """Entries of one run that make up one call, and the writes that they come from.

    Args:
        run_id: The run, as clients know it.
        headers: What is sent with the call.
    """

    def __init__(self, run_id: str, headers: dict[str, str]) -> None:
        self.run_id = run_id
        self.headers = headers
        self.writes: list[Write] = []
        self._metrics: list[_Fields] = []
        self._params: dict[bytes, _Fields] = {}
        self._tags: dict[bytes, _Fields] = {}
        self._size_bytes = 0

    def takes(self, write: Write, parts: _Parts) -> bool:
        """Say whether a write fits; a parameter may stand in a batch only once."""
        metrics = len(self._metrics) + len(parts.metrics)
        params = len(self._params) + len(parts.params)
        tags = len(self._tags) + len(parts.tags)
        return (
            not self.writes
            or metrics <= METRICS
            and params <= PARAMS
            and tags <= TAGS
            and metrics + params + tags <= ENTRIES
            and self._size_bytes + len(write.body) <= BODY_BYTES
            and write.headers == self.headers
            and not any(_key(param) in self._params for param in parts.params)
        )

    def add(self, write: Write, parts: _Parts) -> None:
        """Take in a write; of a tag that is set twice the later value counts."""
        self.writes.append(write)
        self._metrics += parts.metrics
        self._params.update({_key(param): param for param in parts.params})
        self._tags.update({_key(tag): tag for tag in parts.tags})
        self._size_bytes += len(write.body)

    def body(self) -> bytes:
        """Return what to send, in the ids that clients know."""
        if len(self.writes) == 1 and self.writes[0].call == "log-batch":
            return self.writes[0].body
        entries = {"metrics": self._metrics, "params": list(self._params.values()), "tags": list(self._tags.values())}
        return msgspec.json.encode({"run_id": self.run_id, **{name: found for name, found in entries.items() if found}})


def joined(writes: Sequence[Write]) -> Iterator[Batch | Write]:
    """Yield what to send for some writes that only log, each run's in order; what cannot be joined stays as it is."""
    open_batches: dict[str, Batch] = {}
    for write in writes:
        run_id = write.about[0]
        parts = _parts(write)
        if parts is None:
            if (before := open_batches.pop(run_id, None)) is not None:
                yield before
            yield write
            continue
        batch = open_batches.get(run_id)
        if batch is not None and not batch.takes(write, parts):
            yield batch
            batch = None
        if batch is None:
            batch = open_batches[run_id] = Batch(run_id, write.headers)
        batch.add(write, parts)
    yield from open_batches.values()


def _parts(write: Write) -> _Parts | None:
    """Return the entries of a write, exactly as they were sent; None where it holds something that no batch has."""
    try:
        if write.call == "log-batch":
            parts = _read_parts(write.body)
            keys = [_key(one) for one in parts.params], [_key(one) for one in parts.tags]
            # what the server has to refuse is sent as it is
            return parts if all(len(set(found)) == len(found) for found in keys) else None
        fields = _read_fields(write.body)
        fields.pop("run_id", None)
        fields.pop("run_uuid", None)
        _key(fields)
    except (msgspec.DecodeError, KeyError):
        return None
    if write.call == "log-metric":
        return _Parts(metrics=[fields]) if fields.keys() <= _POINT_FIELDS else None
    if not fields.keys() <= {"key", "value"}:
        return None
    return _Parts(params=[fields]) if write.call == "log-parameter" else _Parts(tags=[fields])


def _key(fields: _Fields) -> bytes:
    return bytes(fields["key"])
