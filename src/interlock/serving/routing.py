"""Hold what answers behind an endpoint at one moment, and decide who answers which row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter_ns
from zlib import crc32

from interlock.core.errors import NotFound, SchemaMismatch, did_you_mean
from interlock.core.schema import Column
from interlock.ports.deployment_store import Endpoint, Role
from interlock.serving.loading import LoadedModel
from interlock.serving.statistics import ModelStatistics, StatisticsBook
from interlock.serving.tensor_check import TensorCheck
from interlock.serving.validation import RowCheck

_HASH_RANGE = 2**32


@dataclass(frozen=True)
class Deployed:
    """A loaded version in its role.

    Args:
        model: The version.
        role: Its role.
        share: The part of callers that it answers.
        order: Where each of its inputs stands among the endpoint's, or None where they agree.
        statistics: What it has done so far.
    """

    model: LoadedModel
    role: Role
    share: float
    order: tuple[int, ...] | None = None
    statistics: ModelStatistics = field(default_factory=ModelStatistics)


class Routing:
    """What answers behind an endpoint at one revision; never changed, only replaced.

    Args:
        endpoint: The endpoint as it was routed.
        deployed: Its versions, loaded.
    """

    def __init__(self, endpoint: Endpoint, deployed: Sequence[Deployed]) -> None:
        self.endpoint = endpoint
        self.revision = endpoint.revision
        self.live = next(one for one in deployed if one.role == "live")
        self.shadows = tuple(one for one in deployed if one.role == "shadow")
        self.answering = (self.live, *(one for one in deployed if one.role == "canary"))
        self.deployed = tuple(deployed)
        signature = self.live.model.signature
        self.check = TensorCheck(signature) if signature.is_tensor else RowCheck(signature)
        self.is_quick = all(one.model.is_quick for one in self.answering)
        self._bounds = _bounds(self.answering[1:])

    def route(self, prediction_id: str) -> Deployed:
        """Return who answers a row: always the same for the same id and shares.

        The hash of the id, read as a number from 0 to 1, falls into a canary's share or goes to the live version.
        """
        place = crc32(prediction_id.encode()) / _HASH_RANGE
        for bound, canary in self._bounds:
            if place < bound:
                return canary
        return self.live

    def version(self, version: str) -> Deployed:
        """Return the version that answers callers under a number.

        Raises:
            NotFound: It does not answer behind this endpoint now.
        """
        for one in self.answering:
            if one.model.version == version:
                return one
        known = [one.model.version for one in self.answering]
        raise NotFound(
            f"endpoint '{self.endpoint.name}' is not answered by version '{version[:40]}'",
            why=did_you_mean(version[:40], known),
        )


def _bounds(canaries: Sequence[Deployed]) -> list[tuple[float, Deployed]]:
    bounds: list[tuple[float, Deployed]] = []
    reached = 0.0
    for canary in canaries:
        reached += canary.share
        bounds.append((reached, canary))
    return bounds


def build_routing(
    endpoint: Endpoint,
    load: Callable[[str], LoadedModel],
    before: Routing | None,
    statistics: StatisticsBook | None = None,
) -> Routing:
    """Load what an endpoint needs, keeping what is loaded already.

    Raises:
        SchemaMismatch: A version beside the live one does not take and give the same columns.
        InterlockError: A version cannot be loaded.
    """
    book = statistics or StatisticsBook()
    at_hand = {one.model.ref: one for one in before.deployed} if before else {}
    loaded: dict[str, LoadedModel] = {}
    for deployment in endpoint.deployments:
        known = at_hand.get(deployment.model)
        began = perf_counter_ns()
        loaded[deployment.model] = known.model if known else load(deployment.model)
        if known is None:
            book.of(endpoint.name, deployment.model, deployment.role).loaded(perf_counter_ns() - began)
    live = next(deployment.model for deployment in endpoint.deployments if deployment.role == "live")
    return Routing(
        endpoint,
        [
            Deployed(
                model=loaded[deployment.model],
                role=deployment.role,
                share=deployment.share,
                order=_order(loaded[live], loaded[deployment.model]),
                statistics=at_hand[deployment.model].statistics
                if statistics is None and deployment.model in at_hand
                else book.of(endpoint.name, deployment.model, deployment.role),
            )
            for deployment in endpoint.deployments
        ],
    )


def _order(live: LoadedModel, other: LoadedModel) -> tuple[int, ...] | None:
    """Return where each input of another version stands among the live one's, or None where they agree."""
    if other.signature.input_names == live.signature.input_names:
        order = None
    else:
        names = live.signature.input_names
        order = tuple(names.index(name) for name in other.signature.input_names if name in names)
    types = {column.name: _kind(column) for column in live.signature.inputs}
    asked = {column.name: _kind(column) for column in other.signature.inputs}
    given = [(column.name, _kind(column)) for column in other.signature.outputs]
    if asked != types or given != [(column.name, _kind(column)) for column in live.signature.outputs]:
        odd = sorted(asked.keys() ^ types.keys()) or [name for name, kind in asked.items() if types[name] != kind]
        raise SchemaMismatch(
            f"{other.ref} cannot answer beside {live.ref}",
            why=f"they differ in the input columns {odd}" if odd else "they differ in what they give",
            fix="route it as the only version: its callers have to send other rows",
        )
    return order


def _kind(column: Column) -> tuple[str, tuple[int, ...] | None, str]:
    """Return what must agree of columns that stand for each other."""
    return column.type, column.shape, column.datatype
