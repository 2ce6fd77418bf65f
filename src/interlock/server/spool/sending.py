"""Send one write to the upstream server, and tell what it will never take from what it cannot take now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from interlock.server.http import JSON_TYPE, encode_json
from interlock.server.spool.batches import BATCH_PATH, Batch
from interlock.server.spool.records import IDEMPOTENCY, Write, call_of, read_object, run_of
from interlock.server.spool.sketches import mapping, mappings
from interlock.server.spool.store import Store
from interlock.server.spool.upstream import Reply, Upstream

_UPLOAD_SILENCE_S = 120.0
_GONE_IS_FINE = frozenset({"delete-tag", "delete-model-tag"})
"""Calls after which something is not there: where it was not there before, all is well."""


class NotTaken(Exception):
    """The server refuses a write for good.

    Args:
        status: The HTTP status of its answer; 0 where nothing was sent.
        answer: What it said.
    """

    def __init__(self, status: int, answer: str) -> None:
        super().__init__(answer)
        self.status = status
        self.answer = answer


class NotNow(Exception):
    """The server cannot take a write at present.

    Args:
        status: The HTTP status of its answer.
        why: What it said.
    """

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Sender:
    """Sends writes in the ids of the upstream server.

    Args:
        store: Whose writes.
        upstream: Where to.
    """

    def __init__(self, store: Store, upstream: Upstream) -> None:
        self._store = store
        self._ids = store.ids
        self._upstream = upstream

    def send_batch(self, batch: Batch) -> None:
        """Send a batch of what a run logged.

        Raises:
            NotTaken: It is refused.
            NotNow: It cannot be taken at present.
            Unavailable: The server does not answer.
        """
        self._check_needs((batch.run_id,))
        self._judge(self._upstream.call("POST", BATCH_PATH, self._headers(batch.headers), self._forward(batch.body())))

    def send(self, write: Write) -> None:
        """Send a write that creates nothing; also one that was sent before.

        Raises:
            NotTaken: It is refused.
            NotNow: It cannot be taken at present.
            Unavailable: The server does not answer.
        """
        self._check_needs((*write.about, *write.needs))
        if write.file:
            self._send_file(write)
            return
        body = self._unsent(write)
        if body is None:
            return
        target = self._ids.address(write.target) or write.target
        reply = self._upstream.call(write.method, target, self._headers(write.headers), self._forward(body))
        if not (reply.status == 404 and write.call in _GONE_IS_FINE and error_code(reply) != "ENDPOINT_NOT_FOUND"):
            self._judge(reply)

    def _send_file(self, write: Write) -> None:
        target = self._ids.address(write.target)
        if target is None:
            raise NotTaken(0, "the server keeps the artifacts of this run at a place that it does not serve itself")
        body, size_bytes = self._store.body(write)
        headers = {**self._headers(write.headers), "content-length": str(size_bytes)}
        with body:
            self._judge(self._upstream.call("PUT", target, headers, body, timeout_s=_UPLOAD_SILENCE_S))

    def ask(self, write: Write, method: str, target: str, fields: Mapping[str, Any] | None = None) -> Any:
        """Make another call for the sake of a write, and return its answer as plain values.

        Args:
            write: What the call is for; it is made with the same headers.
            method: HTTP method.
            target: Path and query, in the upstream server's ids.
            fields: The body, likewise.

        Raises:
            NotTaken: It is refused.
            NotNow: It cannot be taken at present.
            Unavailable: The server does not answer.
        """
        headers = self._headers(write.headers)
        if write.makes:
            headers.setdefault(IDEMPOTENCY, write.makes)
        headers.pop("content-type", None)
        if fields is not None:
            headers["content-type"] = JSON_TYPE
        reply = self._upstream.call(method, target, headers, encode_json(fields) if fields is not None else b"")
        self._judge(reply)
        try:
            return msgspec.json.decode(reply.body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise NotNow(reply.status, f"its answer to {target.partition('?')[0]} is not JSON: {error}") from error

    def _unsent(self, write: Write) -> bytes | None:
        """Return what of a write the server does not have yet, where sending it twice would fail."""
        if write.call not in ("log-outputs", "log-model-params"):
            return write.body
        fields = read_object(self._forward(write.body))
        if write.call == "log-outputs":
            shown = self.ask(write, "GET", f"/api/2.0/mlflow/runs/get?run_id={run_of(fields)}")
            outputs = mapping(mapping(mapping(shown).get("run")).get("outputs"))
            there = {one.get("model_id") for one in mappings(outputs.get("model_outputs"))}
            name, left = "models", [one for one in mappings(fields.get("models")) if one.get("model_id") not in there]
        else:
            call = call_of(write.method, write.path)
            assert call is not None
            model_id = self._forward(call.names[0].encode()).decode()
            shown = self.ask(write, "GET", f"/api/2.0/mlflow/logged-models/{model_id}")
            data = mapping(mapping(mapping(shown).get("model")).get("data"))
            there = {one.get("key") for one in mappings(data.get("params"))}
            name, left = "params", [one for one in mappings(fields.get("params")) if one.get("key") not in there]
        return encode_json({**fields, name: left}) if left else None

    def _check_needs(self, ids: tuple[str, ...]) -> None:
        refused = self._ids.refused(ids)
        if refused is not None:
            raise NotTaken(0, f"the server had refused to create {refused}")

    def _forward(self, text: bytes) -> bytes:
        return self._ids.forward(text)

    def _headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        return {name: self._forward(value.encode("latin-1")).decode("latin-1") for name, value in headers.items()}

    @staticmethod
    def _judge(reply: Reply) -> None:
        said = reply.body[:2_000].decode(errors="replace")
        if 200 <= reply.status < 300 and "html" not in reply.header("content-type"):
            return
        if reply.passing or reply.status < 300:
            raise NotNow(reply.status, f"it answers with status {reply.status}: {said[:300]}")
        raise NotTaken(reply.status, said)


def error_code(reply: Reply) -> str:
    """Return MLflow's code of an error, empty where the answer has none."""
    try:
        return str(mapping(msgspec.json.decode(reply.body)).get("error_code", ""))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
