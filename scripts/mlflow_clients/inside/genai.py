"""Steps that trace calls, keep prompts, and judge answers."""

from __future__ import annotations

from typing import Any

import mlflow
import mlflow.genai
from facts import Facts, plain, refusal
from mlflow.entities import SpanType


@mlflow.trace(span_type=SpanType.TOOL, attributes={"units": "km"})
def look_up(city: str) -> int:
    """Return how far a city is."""
    return len(city) * 100


@mlflow.trace(name="plan", span_type=SpanType.AGENT)
def plan(cities: list[str]) -> dict[str, int]:
    """Return how far cities are; nobody knows Atlantis."""
    if "Atlantis" in cities:
        raise ValueError("nobody knows Atlantis")
    with mlflow.start_span("inner") as span:
        span.set_inputs({"count": len(cities)})
        found = {city: look_up(city) for city in cities}
        span.set_outputs(found)
    mlflow.update_current_trace(tags={"trip": cities[0]}, metadata={"mlflow.trace.session": "s1"})
    return found


def traces(seen: Facts) -> None:
    """Trace calls, search them, judge them, tag them, delete them."""
    experiment = mlflow.set_experiment("traces").experiment_id
    plan(["Oslo", "Rome"])
    plan(["Lima"])
    seen["refused"] = ""
    try:
        plan(["Atlantis"])
    except ValueError as error:
        seen["refused"] = str(error)
    mlflow.flush_trace_async_logging()
    client = mlflow.MlflowClient()
    found = mlflow.search_traces(locations=[experiment], order_by=["timestamp_ms ASC"], return_type="list")
    for number, trace in enumerate(found):
        info = trace.info
        tags = {key: value for key, value in info.tags.items() if not key.startswith("mlflow.")}
        seen[f"trace {number}"] = [str(info.state), info.request_preview, info.response_preview, tags]
        spans = sorted(trace.data.spans, key=lambda span: span.start_time_ns)
        seen[f"spans {number}"] = [
            [span.name, span.span_type, str(span.status.status_code), plain(span.inputs), plain(span.outputs)]
            for span in spans
        ]
        seen[f"events {number}"] = [[event.name for event in span.events] for span in spans]
    first = found[0].info.trace_id
    mlflow.log_feedback(trace_id=first, name="good", value=True, rationale="it is")
    mlflow.log_expectation(trace_id=first, name="far", value={"Oslo": 400})
    mlflow.set_trace_tag(first, "seen", "yes")
    again = mlflow.get_trace(first)
    seen["judged"] = sorted((one.name, plain(one.value)) for one in again.info.assessments)
    seen["tag"] = again.info.tags["seen"]
    for words in ("attributes.status = 'ERROR'", "tags.seen = 'yes'", "attributes.name = 'plan'"):
        hits = mlflow.search_traces(locations=[experiment], filter_string=words, return_type="list")
        seen[words] = len(hits)
    frame = mlflow.search_traces(locations=[experiment])
    seen["frame"] = [sorted(frame.columns), len(frame)]
    mlflow.delete_trace_tag(first, "seen")
    seen["deleted"] = client.delete_traces(experiment, trace_ids=[first])
    seen["left"] = len(mlflow.search_traces(locations=[experiment], return_type="list"))


def prompts(seen: Facts) -> None:
    """Keep prompts in versions, alias them, load and search them."""
    mlflow.genai.register_prompt("greet", "Hello {{name}}", commit_message="first", tags={"tone": "kind"})
    mlflow.genai.register_prompt("greet", "Good day, {{name}} of {{place}}")
    mlflow.genai.register_prompt("chat", [{"role": "system", "content": "You are {{who}}"}])
    mlflow.genai.set_prompt_alias("greet", alias="live", version=1)
    live = mlflow.genai.load_prompt("prompts:/greet@live")
    newest = mlflow.genai.load_prompt("greet", version=2)
    seen["live"] = [live.version, live.template, sorted(live.variables), live.commit_message, live.tags.get("tone")]
    seen["filled"] = newest.format(name="Ada", place="London")
    seen["chat"] = mlflow.genai.load_prompt("chat", version=1).format(who="terse")
    seen["found"] = sorted(one.name for one in mlflow.genai.search_prompts())
    seen["some"] = sorted(one.name for one in mlflow.genai.search_prompts("name = 'greet'"))
    mlflow.genai.delete_prompt_alias("greet", alias="live")
    seen["no alias"] = refusal(lambda: mlflow.genai.load_prompt("prompts:/greet@live", cache_ttl_seconds=0))
    seen["models"] = [one.name for one in mlflow.MlflowClient().search_registered_models("name = 'greet'")]


def judged(seen: Facts) -> None:
    """Evaluate answers with scorers written here, from a dataset that is kept."""
    from mlflow.genai.datasets import create_dataset, get_dataset
    from mlflow.genai.scorers import scorer

    @scorer
    def is_short(outputs: Any) -> bool:
        return len(str(outputs)) < 12

    @scorer
    def exact(outputs: Any, expectations: dict[str, Any]) -> float:
        return float(str(outputs) == expectations["expected_response"])

    experiment = mlflow.set_experiment("judged").experiment_id
    rows = [
        {"inputs": {"question": "1 + 1"}, "expectations": {"expected_response": "2"}},
        {"inputs": {"question": "the sea"}, "expectations": {"expected_response": "is wide and blue"}},
    ]
    kept = create_dataset(name="questions", experiment_id=[experiment], tags={"lang": "en"})
    kept.merge_records(rows)
    kept.merge_records(rows[:1])
    frame = get_dataset(dataset_id=kept.dataset_id).to_df()
    seen["rows"] = sorted(plain([row["inputs"], row["expectations"]]) for _, row in frame.iterrows())

    def answer(question: str) -> str:
        return "2" if "+" in question else "is wide"

    result = mlflow.genai.evaluate(data=rows, predict_fn=answer, scorers=[is_short, exact])
    seen["metrics"] = plain({key: value for key, value in result.metrics.items() if "latency" not in key})
    run = mlflow.get_run(result.run_id)
    seen["of the run"] = plain({key: value for key, value in run.data.metrics.items() if "latency" not in key})
    found = mlflow.search_traces(locations=[experiment], run_id=result.run_id, return_type="list")
    seen["judgements"] = sorted(
        (plain(trace.data.spans[0].inputs), one.name, plain(one.value))
        for trace in found
        for one in trace.info.assessments
    )


STEPS = (traces, prompts, judged)
