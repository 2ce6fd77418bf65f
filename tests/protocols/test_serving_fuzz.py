"""A few hundred mutated requests over HTTP and gRPC: nothing fails, nothing is lost, and what was right stays right."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from interlock.adapters.memory.stores import memory_stores
from interlock.ports.stores import Stores
from interlock.server.dataplane import DATA_LIMITS
from interlock.server.grpc_oip.listening import grpc_serving
from interlock.server.hosting import EndpointHost
from interlock.server.listening import listen
from interlock.server.serve_app import ServeApp
from interlock.server.wire.serving import serving_wire
from interlock.serving.rollout import begin
from scripts.serving_fuzz.fuzzing import GrpcSide, HttpSide, Oracle, Tally
from scripts.serving_fuzz.grpc_cases import grpc_case
from scripts.serving_fuzz.making import Maker
from scripts.serving_fuzz.seeds import infer, models_of
from tests.open_inference_server import models_by_ref
from tests.serving_examples import loaded

SEED = 5
HTTP_CASES, GRPC_CASES = 500, 300
ENDPOINTS = ("delay", "echo_bool", "echo_bytes", "echo_bf16", "echo_fp16", "echo_fp64", "echo_uint64", "simple")


@contextmanager
def served(stores: Stores) -> Iterator[tuple[str, str]]:
    """Serve a model of columns and models of tensors; give the URL, and the address of gRPC where that is there."""
    models = {"model:delay@1": loaded(), **models_by_ref()}
    for name in ENDPOINTS:
        stores.deployments.route(name, begin(f"model:{name}@1"))
    with ExitStack() as exits:
        host = EndpointHost(stores.deployments, stores.journal, load=models.__getitem__, log=stores.predictions)
        exits.enter_context(host)
        app = ServeApp(host)
        exits.callback(app.close)
        url = exits.enter_context(serving_wire(app, listen("127.0.0.1", 0)))
        grpc = ""
        if find_spec("grpc") is not None:
            grpc = exits.enter_context(grpc_serving(host, "127.0.0.1", 0, limits=DATA_LIMITS))
        yield url, grpc


def logged(stores: Stores) -> set[str]:
    """Return the ids of all rows in the log."""
    start, end = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    pages = [stores.predictions.window(name, start=start, end=end, limit=100_000) for name in ENDPOINTS]
    return {one.prediction.id for page in pages for one in page}


def test_mutated_requests_are_refused_or_answered_and_every_answer_is_logged(tmp_path: Path) -> None:
    stores = memory_stores()
    said: list[str] = []
    tally = Tally(tmp_path, say=said.append)
    with served(stores) as (url, grpc):
        models = models_of(url, ENDPOINTS)
        address = ("127.0.0.1", urlsplit(url).port or 0)
        maker = Maker(SEED, models)
        good = [(model.name, infer(random.Random(1), model, binary=False).message()) for model in models]
        oracle = Oracle(address, good, tally)
        http = HttpSide(address, tally)
        for number in range(HTTP_CASES):
            http.do(maker.case(number))
        http.close()
        if grpc:
            calls = GrpcSide(grpc, tally)
            for number in range(GRPC_CASES):
                seed = f"{SEED}/grpc/{number}"
                calls.do(grpc_case(random.Random(seed), models, seed))
            calls.close()
        assert oracle.check()
    assert said == []
    assert logged(stores) == set().union(*tally.ids.values())
    assert sum(1 for kind, _ in tally.counts if kind.startswith(("tensors", "wire", "any"))) > 40


@pytest.mark.parametrize("number", [0, 1, 7, 400])
def test_a_case_is_the_same_whenever_it_is_made(number: int) -> None:
    with served(memory_stores()) as (url, _):
        models = models_of(url, ("delay", "simple"))
    assert Maker(3, models).case(number) == Maker(3, models).case(number)
    assert Maker(3, models).case(number) != Maker(4, models).case(number)
