"""The route that deploys."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from interlock.core.errors import Refused
from interlock.loop.endpoints import Outcome
from interlock.server.app import App
from tests.unit.server.asgi import call

MakeApp = Callable[..., App]


@dataclass
class Deployments:
    """Remembers what was asked for, and answers as told."""

    refuses: bool = False
    asked: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, model: Any, **options: Any) -> Any:
        self.asked.append({"model": model, **options})
        if self.refuses:
            raise Refused("model:delay@7 was not deployed: the gate refused it", why="auc fell by 0.02")
        return self

    @property
    def outcome(self) -> Outcome:
        return Outcome("delay", "http://127.0.0.1:1", "model:delay@7", "onnx", "live", 1.0, 3, None, ("a note",), 0.1)


def post(app: Any, body: object) -> Any:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return call(
        app,
        "POST",
        "/api/v1/deploy",
        body=data,
        headers=[("content-type", "application/json"), ("content-length", str(len(data)))],
    )


def test_what_is_asked_for_is_deployed(make_app: MakeApp) -> None:
    deployments = Deployments()
    reply = post(make_app(deploy=deployments), {"model": "model:delay@7", "role": "canary", "share": 0.2})
    assert reply.status == 200
    assert reply.json()["endpoint"] == "delay"
    (asked,) = deployments.asked
    assert asked["model"] == "model:delay@7"
    assert (asked["name"], asked["canary"], asked["shadow"], asked["share"], asked["gate"]) == (
        None,
        True,
        False,
        0.2,
        True,
    )


def test_a_refusal_is_told(make_app: MakeApp) -> None:
    reply = post(make_app(deploy=Deployments(refuses=True)), {"model": "model:delay@7"})
    assert reply.status == 403
    assert reply.json()["why"] == "auc fell by 0.02"


@pytest.mark.parametrize(
    "body", [b"{", b"\xff", {}, {"model": 7}, {"model": "m", "role": "king"}, {"model": "m", "x": 1}]
)
def test_what_cannot_be_read_deploys_nothing(make_app: MakeApp, body: object) -> None:
    deployments = Deployments()
    assert post(make_app(deploy=deployments), body).status == 400
    assert deployments.asked == []


def test_without_a_data_plane_nothing_can_be_deployed(make_app: MakeApp) -> None:
    assert post(make_app(), {"model": "model:delay@7"}).status in (404, 405)
