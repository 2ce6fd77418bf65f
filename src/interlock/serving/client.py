"""Ask one endpoint over HTTP, as any client could: Open Inference Protocol v2, raw tensors where they pay.

Source: the Open Inference Protocol (V2), REST, with the extensions `binary_tensor_data` and `statistics`.
"""

from __future__ import annotations

import http.client
import os
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec

from interlock.core.errors import InterlockError, InvalidInput, TimedOut, Unavailable, error_types
from interlock.serving.problems import PROBLEM_HEADER, read_problem
from interlock.serving.requests import IDS
from interlock.serving.wire import Outputs, WireColumn, read_answer, write_request

TIMEOUT_S = 60.0

_PAUSES_S = (0.0, 0.0, 0.05, 0.2, 0.5, 1.0)
_POLL_S = 0.2
_BODY_BYTES = 4_000_000
_MOST_ROWS = 10_000
_BY_STATUS = {kind.http_status: kind for kind in reversed(error_types().values()) if kind.http_status != 500}
_Idle = tuple[str, int, http.client.HTTPConnection]
"""A kept connection, where it leads, and the process that opened it."""
_GONE = (ConnectionError, http.client.RemoteDisconnected, http.client.BadStatusLine, http.client.CannotSendRequest)


class EndpointClient:
    """Sends rows and truths to one endpoint.

    Thread-safe: each call has a connection of its own while it runs. What is sent twice, because a connection broke,
    is logged once: every row carries its id.

    Args:
        endpoint: Name of the endpoint.
        locate: Gives the address of its server and the token to show; called with True when the last address did not
            answer.
    """

    def __init__(self, endpoint: str, locate: Callable[[bool], tuple[str, str | None]]) -> None:
        self._path = f"/v2/models/{quote(endpoint, safe='')}"
        self._reload_path = f"/v2/repository/models/{quote(endpoint, safe='')}/load"
        self._locate = locate
        self._idle: list[_Idle] = []
        weakref.finalize(self, _close_all, self._idle)
        self._pause = threading.Event()
        self._columns: tuple[WireColumn, ...] | None = None

    def columns(self, *, fresh: bool = False) -> tuple[WireColumn, ...]:
        """Return what the endpoint takes, in its order; remembered until it is asked for anew."""
        if self._columns is None or fresh:
            found = msgspec.convert(self.get("")["inputs"], tuple[WireColumn, ...])
            self._columns = found
        return self._columns

    def infer(
        self,
        columns: Mapping[str, Any],
        *,
        ids: Sequence[str],
        params: Mapping[str, Sequence[Any]],
        said: Mapping[str, Any] = MappingProxyType({}),
        version: str | None = None,
    ) -> Outputs:
        """Ask about some rows, in as many requests as their size takes; return a value per row for each output.

        Args:
            columns: Equally long sequences or arrays by name.
            ids: The prediction id of each row.
            params: What else is said of each row, by the protocol's name for it.
            said: What is said of all of them.
            version: Number of the version that shall answer, in place of the endpoint's shares.

        Raises:
            InterlockError: What the server says.
            Unavailable: It does not answer.
        """
        path = f"{self._path}/infer" if version is None else f"{self._path}/versions/{version}/infer"
        found = Outputs()
        start, step = 0, min(_MOST_ROWS, max(1, len(ids)))
        wire = self.columns()
        while start < len(ids):
            part = slice(start, start + step)
            of_rows = {key: list(values[part]) for key, values in params.items()}
            body, head = write_request(
                wire,
                {name: values[part] for name, values in columns.items()},
                rows=len(ids[part]),
                params={**said, IDS: list(ids[part]), **of_rows},
            )
            if len(body) > _BODY_BYTES and step > 1:
                step = max(1, step // 2)
                continue
            headers = {"content-type": "application/json"}
            if head is not None:
                headers = {"content-type": "application/octet-stream", "inference-header-content-length": str(head)}
            answer, answered = self._exchange("POST", path, body, headers)
            found.extend(read_answer(answer, answered.get("inference-header-content-length")))
            start += step
        return found

    def explain(self, columns: Mapping[str, Any], *, rows: int) -> dict[str, Any]:
        """Return why the endpoint answers some rows as it does; waits where that has to be sampled.

        Raises:
            InterlockError: What the server says.
        """
        body, head = write_request(self.columns(), columns, rows=rows, params={})
        headers = {"content-type": "application/json"}
        if head is not None:
            headers = {"content-type": "application/octet-stream", "inference-header-content-length": str(head)}
        found = _object(self._exchange("POST", f"{self._path}/explain", body, headers)[0])
        while found.get("state") == "running":
            self._pause.wait(_POLL_S)
            found = self.get(f"/explanations/{found['id']}")
        if found.get("state") == "failed":
            raise InterlockError("the explanation failed", why=str(found.get("error", "")))
        return found

    def get(self, path: str) -> dict[str, Any]:
        """Return what is at a path below the endpoint's."""
        return _object(self._exchange("GET", self._path + path, None, {})[0])

    def feedback(self, truths: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Say what proved true of earlier answers."""
        body = msgspec.json.encode(list(truths), enc_hook=str)
        return _object(self._exchange("POST", f"{self._path}/feedback", body, {"content-type": "application/json"})[0])

    def reload(self) -> None:
        """Have the server take up the endpoint's newest routing before it answers anything else.

        Raises:
            InterlockError: The routing cannot be loaded.
        """
        self._columns = None
        self._exchange("POST", self._reload_path, b"{}", {"content-type": "application/json"})

    def close(self) -> None:
        """Close idle connections."""
        _close_all(self._idle)

    def _exchange(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[bytes, http.client.HTTPMessage]:
        """Send a request and return the answer's body and headers; once more where nobody answered."""
        url, token = self._locate(False)
        attempt = 0
        while True:
            try:
                return self._once(url, token, method, path, body, headers)
            except _GONE as error:
                self.close()
                attempt += 1
                if attempt > len(_PAUSES_S):
                    raise Unavailable(
                        f"{url} does not answer", why=f"{type(error).__name__}: {error}", fix="interlock endpoint logs"
                    ) from error
                # a kept connection may have been closed meanwhile: only a new one tells that the server is gone; and
                # a process that was killed takes a moment to be gone
                self._pause.wait(_PAUSES_S[attempt - 1])
                url, token = self._locate(attempt > 1)

    def _once(
        self, url: str, token: str | None, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[bytes, http.client.HTTPMessage]:
        connection = self._take(url)
        shown = {"authorization": f"Bearer {token}"} if token else {}
        try:
            connection.request(method, urlsplit(url).path.rstrip("/") + path, body, headers | shown)
            response = connection.getresponse()
            answer = response.read()
        except TimeoutError as error:
            connection.close()
            raise TimedOut(f"{url} did not answer in time", why=f"it was silent for {TIMEOUT_S:g} s") from error
        except (OSError, http.client.HTTPException):
            connection.close()
            raise
        self._idle.append((url, os.getpid(), connection))
        if response.status not in (200, 202):
            raise problem_of(response.status, response.headers.get(PROBLEM_HEADER), answer)
        return answer, response.headers

    def _take(self, url: str) -> http.client.HTTPConnection:
        with suppress(IndexError):
            while True:
                known, pid, connection = self._idle.pop()
                # a connection that was there before a fork is the parent's
                if known == url and pid == os.getpid():
                    return connection
                connection.close()
        parts = urlsplit(url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        return kind(parts.hostname or "", parts.port, timeout=TIMEOUT_S)


def _close_all(idle: list[_Idle]) -> None:
    while idle:
        idle.pop()[2].close()


def problem_of(status: int, header: str | None, body: bytes) -> InterlockError:
    """Return the error that a server answered with, of the same class as it was raised there.

    Example:
        >>> problem_of(422, None, b'{"error": "row 0 does not fit"}')
        SchemaMismatch('row 0 does not fit')
    """
    if header is not None and (error := read_problem(header)) is not None:
        return error
    try:
        said = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        said = {}
    text = said.get("error") or said.get("what") or said.get("message") or f"the server answered {status}"
    return _BY_STATUS.get(status, InterlockError)(str(text), why=str(said.get("why", "")), fix=str(said.get("fix", "")))


def _object(body: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body or b"{}", type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput("the server's answer cannot be read", why=str(error)) from error
