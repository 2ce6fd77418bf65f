"""Answer MLflow's endpoints that count and measure traces: figures over time, and how two filters go together."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from interlock.core.refs import ref_of
from interlock.ports.trace_search import AllTraces, TraceCompare, TraceFilter
from interlock.ports.trace_store import SOURCE_RUN, RecordedTrace
from interlock.server.mlflow.known_runs import experiment_number
from interlock.server.mlflow.refusals import invalid_value
from interlock.server.mlflow.trace_figures import FIGURES, Figure, Sample, dimension_of, meets, samples_of
from interlock.server.mlflow.trace_filter import parse_filter
from interlock.server.mlflow.wire import Endpoint, Ground, invalid, required

MOST_POINTS = 1000
MOST_EXPERIMENTS = 1000
_AT_ONCE = 500
_VIEWS = ("METRIC_VIEW_TYPE_UNSPECIFIED", "TRACES", "SPANS", "ASSESSMENTS")
_AGGREGATIONS = ("AGGREGATION_TYPE_UNSPECIFIED", "COUNT", "SUM", "AVG", "PERCENTILE", "MIN", "MAX")
_PRIOR = 0.5
_FILTER = re.compile(
    r"""\s*`?(trace|span|assessment)`?\.(\w+)(?:\.(`[^`]+`|"[^"]+"|'[^']+'|[^\s=]+))?\s*(=)\s*('[^']*'|"[^"]*")\s*"""
)
_KEYED = ("trace.tag", "trace.metadata")
_PLAIN = ("trace.status", "span.name", "span.status", "span.type", "assessment.name", "assessment.type")


class _Aggregation(msgspec.Struct):
    aggregation_type: str | int = 0
    percentile_value: float | None = None


class _Query(msgspec.Struct):
    experiment_ids: list[str] = []
    view_type: str | int | None = None
    metric_name: str = ""
    aggregations: list[_Aggregation] = []
    dimensions: list[str] = []
    filters: list[str] = []
    time_interval_seconds: int | None = None
    start_time_ms: int | None = None
    end_time_ms: int | None = None
    max_results: int = MOST_POINTS
    page_token: str = ""


class _Correlation(msgspec.Struct):
    experiment_ids: list[str] = []
    filter_string1: str = ""
    filter_string2: str = ""
    base_filter: str = ""


class PointRecord(msgspec.Struct, frozen=True):
    """One point of a figure."""

    metric_name: str
    dimensions: dict[str, str]
    values: dict[str, float]


class PointsAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Points of a figure."""

    data_points: list[PointRecord] = []


class CorrelationAnswer(msgspec.Struct, frozen=True):
    """How two filters go together; text where JSON has no number."""

    npmi: float | str
    npmi_smoothed: float | str
    filter1_count: int
    filter2_count: int
    joint_count: int
    total_count: int


def _query(ground: Ground, asked: _Query) -> PointsAnswer:
    """Draw a figure from every trace that is meant.

    Cost: reads each of them, and for figures of spans their spans.
    """
    experiments = _experiments(asked.experiment_ids)
    view, figure, aggregations = _checked(asked)
    where, own = _filters(asked, view)
    groups: defaultdict[tuple[str, ...], list[Any]] = defaultdict(list)
    for trace in _traces(ground, experiments, where, with_spans=view == "SPANS"):
        for sample in samples_of(*trace, view=view):
            place = _place(sample, asked)
            value = figure.read(sample)
            if place is not None and value is not None and all(meets(sample, *one) for one in own):
                groups[place].append(value)
    names = ["time_bucket"] * bool(asked.time_interval_seconds) + asked.dimensions
    if not names and not groups and aggregations == ["COUNT"]:
        groups[()] = []
    return PointsAnswer(
        [
            PointRecord(
                asked.metric_name,
                dict(zip(names, place, strict=True)),
                {
                    name: _together(name, groups[place], distinct=asked.metric_name == "session_count")
                    for name in aggregations
                },
            )
            for place in sorted(groups)[: asked.max_results]
        ]
    )


def _checked(asked: _Query) -> tuple[str, Figure, list[str]]:
    for name in ("view_type", "metric_name", "aggregations"):
        if not getattr(asked, name):
            raise required(name)
    if not 1 <= asked.max_results <= MOST_POINTS:
        raise invalid(invalid_value("max_results", asked.max_results, f"It must be 1 to {MOST_POINTS}."))
    if asked.time_interval_seconds is not None:
        if not 1 <= asked.time_interval_seconds <= 10**9:
            raise invalid(invalid_value("time_interval_seconds", asked.time_interval_seconds, "Expected 1 to 10^9."))
        if asked.start_time_ms is None or asked.end_time_ms is None:
            raise invalid("start_time_ms and end_time_ms are required if time_interval_seconds is set")
    view = _word(asked.view_type or 0, _VIEWS, of="view_type")
    figure = FIGURES[view].get(asked.metric_name) if view in FIGURES else None
    if figure is None:
        raise invalid(f"metric_name must be one of {list(FIGURES.get(view, FIGURES))}, got '{asked.metric_name[:80]}'")
    words = [_word(one.aggregation_type, _AGGREGATIONS, of="aggregation_type") for one in asked.aggregations]
    if wrong := sorted(set(words) - set(figure.aggregations)):
        raise invalid(
            f"Found invalid aggregation_type(s): {wrong}. Supported aggregation types: {sorted(figure.aggregations)}"
        )
    if wrong := sorted(set(asked.dimensions) - set(figure.dimensions)):
        raise invalid(f"Found invalid dimension(s): {wrong}. Supported dimensions: {sorted(figure.dimensions)}")
    return view, figure, [_named(word, one) for word, one in zip(words, asked.aggregations, strict=True)]


def _named(word: str, aggregation: _Aggregation) -> str:
    share = aggregation.percentile_value
    if (share is not None) != (word == "PERCENTILE"):
        raise invalid("percentile_value is to be given with the aggregation type PERCENTILE, and only with it")
    if share is None:
        return word
    if not 0 <= share <= 100:
        raise invalid(f"Percentile value must be between 0 and 100, got {share}")
    return f"P{share}"


def _filters(asked: _Query, view: str) -> tuple[TraceFilter | None, list[tuple[str, str]]]:
    """Return what to search traces by, and what their spans or judgements have to be besides."""
    where: list[TraceFilter] = []
    own: list[tuple[str, str]] = []
    for text in asked.filters:
        found = _FILTER.fullmatch(text)
        entity = f"{found[1]}.{found[2]}" if found else ""
        if found is None or entity not in (*_KEYED, *_PLAIN) or (found[3] is None) == (entity in _KEYED):
            raise invalid(
                f"Invalid filter '{text[:120]}': expected one such as trace.status = 'OK',"
                " trace.tag.<key> = '…', span.name = '…' or assessment.name = '…'"
            )
        key, value = (found[3] or "").strip("`\"'"), found[5][1:-1]
        if found[1] == "trace":
            where.append(_compared(entity, key, value))
        elif view != f"{found[1].upper()}S":
            raise invalid(f"Invalid filter '{text[:120]}': figures of {view} know nothing of it")
        else:
            own.append((entity, value))
    if asked.start_time_ms is not None:
        where.append(TraceCompare("attribute", "start_ms", ">=", asked.start_time_ms))
    if asked.end_time_ms is not None:
        where.append(TraceCompare("attribute", "start_ms", "<=", asked.end_time_ms))
    return _all(where), own


def _compared(entity: str, key: str, value: str) -> TraceFilter:
    if entity == "trace.status":
        return TraceCompare("attribute", "status", "=", value)
    if entity == "trace.tag":
        return TraceCompare("tag", key, "=", value)
    if key == SOURCE_RUN:
        return TraceCompare("link", "", "=", ref_of("run", value))
    return TraceCompare("metadata", key, "=", value)


def _place(sample: Sample, asked: _Query) -> tuple[str, ...] | None:
    """Return which point of the figure a sample belongs to, or None if to none."""
    found: list[str] = []
    if asked.time_interval_seconds:
        width_ms = asked.time_interval_seconds * 1000
        begin_ms = sample.start_ms // width_ms * width_ms
        found.append(datetime.fromtimestamp(begin_ms / 1000, tz=UTC).isoformat())
    for dimension in asked.dimensions:
        value = dimension_of(sample, dimension)
        if value is None:
            return None
        found.append(value)
    return tuple(found)


def _together(name: str, values: Sequence[Any], *, distinct: bool) -> float:
    if name == "COUNT":
        return len(set(values)) if distinct else len(values)
    if name in ("SUM", "AVG"):
        total = math.fsum(values)
        return total if name == "SUM" else total / len(values)
    share = {"MIN": 0.0, "MAX": 100.0}.get(name)
    return _percentile(sorted(values), float(name[1:]) if share is None else share)


def _percentile(ordered: Sequence[float], percent: float) -> float:
    """Return a percentile, between two values on the line through them.

    Source: Hyndman and Fan (1996), method 7.
    """
    at = percent / 100 * (len(ordered) - 1)
    below = math.floor(at)
    above = min(below + 1, len(ordered) - 1)
    return float(ordered[below] + (at - below) * (ordered[above] - ordered[below]))


def _traces(
    ground: Ground, experiments: Sequence[int], where: TraceFilter | None, *, with_spans: bool
) -> Iterator[tuple[RecordedTrace, list[Any]]]:
    after = None
    while True:
        page = ground.stores.traces.search(experiments=experiments, where=where, limit=_AT_ONCE, after=after)
        spans = ground.stores.traces.spans([one.id for one in page.traces]) if with_spans else {}
        yield from ((one, spans.get(one.id, [])) for one in page.traces)
        after = page.after
        if after is None:
            return


def _correlate(ground: Ground, asked: _Correlation) -> CorrelationAnswer:
    """Say how two filters go together: 1 always, 0 by chance, -1 never.

    Source: normalised pointwise mutual information, Bouma (2009); smoothed with Jeffreys' prior.
    """
    experiments = _experiments(asked.experiment_ids)
    for name in ("filter_string1", "filter_string2"):
        if not getattr(asked, name):
            raise required(name)
    base, first, second = map(parse_filter, (asked.base_filter, asked.filter_string1, asked.filter_string2))
    total, one, two, both = (
        _count(ground, experiments, [part for part in parts if part is not None])
        for parts in ((base,), (base, first), (base, second), (base, first, second))
    )
    return CorrelationAnswer(
        _number(_npmi(both, one, two, total, prior=0.0)),
        _number(_npmi(both, one, two, total, prior=_PRIOR)),
        one,
        two,
        both,
        total,
    )


def _npmi(both: int, one: int, two: int, total: int, *, prior: float) -> float:
    rest = total - one - two + both
    if one == 0 or two == 0 or min(both, one - both, two - both, rest) < 0:
        return math.nan
    if both == total:
        return 1.0
    if both == 0 and not prior:
        return -1.0
    joint, every = both + prior, total + 4 * prior
    first, second = one + 2 * prior, two + 2 * prior
    chance = math.log(joint) + math.log(every) - math.log(first) - math.log(second)
    return max(-1.0, min(1.0, chance / (math.log(every) - math.log(joint))))


def _number(value: float) -> float | str:
    return "NaN" if math.isnan(value) else value


def _count(ground: Ground, experiments: Sequence[int], where: list[TraceFilter]) -> int:
    found, after = 0, None
    while True:
        page = ground.stores.traces.search(experiments=experiments, where=_all(where), limit=_AT_ONCE, after=after)
        found += len(page.traces)
        after = page.after
        if after is None:
            return found


def _all(where: list[TraceFilter]) -> TraceFilter | None:
    return AllTraces(tuple(where)) if len(where) > 1 else where[0] if where else None


def _experiments(ids: list[str]) -> list[int]:
    if not ids:
        raise required("experiment_ids")
    if len(ids) > MOST_EXPERIMENTS:
        raise invalid(f"At most {MOST_EXPERIMENTS} experiments can be asked for at once; got {len(ids)}.")
    return list(dict.fromkeys(map(experiment_number, ids)))


def _word(given: str | int, words: tuple[str, ...], *, of: str) -> str:
    if isinstance(given, int) and 1 <= given < len(words):
        return words[given]
    if given in words[1:]:
        return str(given)
    raise invalid(invalid_value(of, given, f"Expected one of {', '.join(words[1:])}."))


_TRACES = "/3.0/mlflow/traces"

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(method="POST", path=f"{_TRACES}/metrics", request=_Query, handle=_query),
    Endpoint(method="POST", path=f"{_TRACES}/calculate-filter-correlation", request=_Correlation, handle=_correlate),
)
