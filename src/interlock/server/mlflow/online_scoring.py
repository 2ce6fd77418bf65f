"""Keep which scorers are meant to judge new traces, and how many of them.

The server keeps the wish and runs no scorer itself: who runs them reads here which, over which traces, and how often.
"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import msgspec

from interlock.ports.record_store import Record
from interlock.server.mlflow.kept_records import again_until_alone, find_record
from interlock.server.mlflow.known_runs import active_experiment
from interlock.server.mlflow.scorers import ONLINE, SCORERS, scorer_key
from interlock.server.mlflow.trace_filter import parse_filter
from interlock.server.mlflow.wire import Endpoint, Ground, invalid, missing, required

_MOST_IDS = 1000


class ConfigRecord(msgspec.Struct, omit_defaults=True):
    """How often a scorer is to judge, and what."""

    online_scoring_config_id: str
    scorer_id: str
    sample_rate: float
    experiment_id: str
    filter_string: str | None = None


class ConfigAnswer(msgspec.Struct, frozen=True):
    """What holds for one scorer."""

    config: ConfigRecord


class ConfigsAnswer(msgspec.Struct, frozen=True):
    """What holds for some scorers."""

    configs: list[ConfigRecord]


class _Set(msgspec.Struct):
    experiment_id: str = ""
    name: str = ""
    sample_rate: float | None = None
    filter_string: Any = None


class _List(msgspec.Struct):
    scorer_ids: list[str] = []


def _set(ground: Ground, asked: _Set) -> ConfigAnswer:
    for name in ("experiment_id", "name", "sample_rate"):
        if getattr(asked, name) in ("", None):
            raise required(name)
    rate = asked.sample_rate or 0.0
    if not 0.0 <= rate <= 1.0:
        raise invalid(f"sample_rate must be between 0.0 and 1.0, got {rate}")
    if asked.filter_string is not None and not isinstance(asked.filter_string, str):
        raise invalid("Invalid value for parameter 'filter_string' supplied: Expected type 'str' or None.")
    if asked.filter_string:
        parse_filter(asked.filter_string)
    experiment = str(active_experiment(ground, asked.experiment_id).id)

    def work() -> Record:
        scorer = find_record(ground, SCORERS, scorer_key(experiment, asked.name))
        if scorer is None:
            raise missing(f"Scorer with name '{asked.name[:80]}' not found for experiment {experiment}.")
        scorer_id = scorer.body["scorer_id"]
        before = find_record(ground, ONLINE, scorer_id) or Record(ONLINE, scorer_id, parent=experiment)
        body = {"id": uuid4().hex, "sample_rate": rate, "filter": asked.filter_string}
        return ground.stores.records.put([msgspec.structs.replace(before, body=body)])[0]

    return ConfigAnswer(_shown(again_until_alone(work)))


def _list(ground: Ground, asked: _List) -> ConfigsAnswer:
    if not asked.scorer_ids:
        raise required("scorer_ids")
    if len(asked.scorer_ids) > _MOST_IDS:
        raise invalid(f"scorer_ids may hold {_MOST_IDS} ids, got {len(asked.scorer_ids)}.")
    return ConfigsAnswer([_shown(one) for one in ground.stores.records.find(ONLINE, asked.scorer_ids)])


def _shown(record: Record) -> ConfigRecord:
    body = record.body
    return ConfigRecord(body["id"], record.id, body["sample_rate"], record.parent, body["filter"])


_ALL = "/3.0/mlflow/scorers"

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(method="GET", path=f"{_ALL}/online-configs", request=_List, handle=_list),
    Endpoint(method="PUT", path=f"{_ALL}/online-config", request=_Set, handle=_set),
)
