"""Send requests of the protocol as bytes, without any client that could put them right."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from interlock.testing.open_inference.checks import TIMEOUT_S, Target, expect, short

LENGTH = "Inference-Header-Content-Length"


@dataclass(frozen=True)
class Reply:
    """What came back.

    Args:
        status: The HTTP status.
        headers: By their names in lower case.
        body: As it came, decompressed by nobody.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the JSON part of the body: all of it, unless the header says that raw tensors follow."""
        head = self.headers.get(LENGTH.lower())
        try:
            return json.loads(self.body[: int(head)] if head else self.body)
        except ValueError:
            expect(False, expected="a JSON body", got=f"{self.status} {self.body[:100]!r}")

    @property
    def raw(self) -> bytes:
        """What follows the JSON part."""
        head = self.headers.get(LENGTH.lower())
        return self.body[int(head) :] if head else b""

    def __str__(self) -> str:
        return f"{self.status} {short(self.body[:120].decode('utf-8', 'replace'))}"


def send(
    target: Target, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> Reply:
    """Make one request on a connection of its own.

    Raises:
        Mismatch: The server did not answer.
    """
    connection = http.client.HTTPConnection(target.netloc, timeout=TIMEOUT_S / 2)
    try:
        sent = {**target.headers, **(headers or {})}
        connection.request(method, path, body=body, headers=sent, encode_chunked="transfer-encoding" in sent)
        answer = connection.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return Reply(answer.status, found, answer.read())
    except (OSError, http.client.HTTPException) as error:
        expect(False, expected="an answer", got=f"{type(error).__name__}: {error}")
        raise AssertionError from error
    finally:
        connection.close()


def get(target: Target, path: str) -> Reply:
    """Make a GET request."""
    return send(target, "GET", path)


def infer(
    target: Target,
    model: str,
    request: Mapping[str, Any],
    *,
    version: str = "",
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """Send an inference request as JSON, with the media type that belongs to it."""
    body = json.dumps(request).encode()
    return post_infer(target, model, body, {"content-type": "application/json", **(headers or {})}, version=version)


def post_infer(
    target: Target, model: str, body: bytes, headers: Mapping[str, str] | None = None, *, version: str = ""
) -> Reply:
    """Send bytes to where a model answers inference."""
    place = f"/versions/{version}" if version else ""
    return send(target, "POST", f"/v2/models/{model}{place}/infer", body, headers)


def infer_binary(target: Target, model: str, request: Mapping[str, Any], *raw: bytes, **headers: str) -> Reply:
    """Send an inference request whose JSON part is followed by raw tensors."""
    head = json.dumps(request).encode()
    named = {LENGTH: str(len(head)), "content-type": "application/octet-stream", **headers}
    return post_infer(target, model, head + b"".join(raw), named)


def tensor(name: str, datatype: str, shape: Sequence[int], data: Any = None, **parameters: Any) -> dict[str, Any]:
    """Return one tensor of a request's JSON."""
    made: dict[str, Any] = {"name": name, "datatype": datatype, "shape": list(shape)}
    if data is not None:
        made["data"] = data
    if parameters:
        made["parameters"] = parameters
    return made


def ok(reply: Reply) -> Any:
    """Return the JSON of a reply that has to be a success.

    Raises:
        Mismatch: It is none.
    """
    expect(reply.status == 200, expected="200", got=str(reply))
    return reply.json()


def refused(reply: Reply, *statuses: int) -> str:
    """Return what a reply that has to be an error says: a client's fault, as JSON with the one text `error`.

    Raises:
        Mismatch: It is no error, or one that the protocol's clients cannot read.
    """
    wanted = " or ".join(map(str, statuses)) or "a status of 400 to 499"
    fits = reply.status in statuses if statuses else 400 <= reply.status < 500
    expect(fits, expected=f"{wanted}, with {{'error': …}}", got=str(reply))
    found = reply.json()
    text = found.get("error") if isinstance(found, dict) else None
    expect(isinstance(text, str) and bool(text), expected="a body {'error': 'what is wrong'}", got=str(reply))
    return str(text)


def output(found: Any, name: str) -> dict[str, Any]:
    """Return one output of an inference reply.

    Raises:
        Mismatch: It is not there.
    """
    for one in found.get("outputs") or ():
        if one.get("name") == name:
            return dict(one)
    expect(False, expected=f"the output '{name}'", got=found)
    raise AssertionError
