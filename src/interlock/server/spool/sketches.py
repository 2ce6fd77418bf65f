"""Sketch runs and logged models as far as a spool knows them: what was seen of them, and what was logged since."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

RUN_NAME_TAG = "mlflow.runName"


class RunSketch:
    """A run as MLflow's API shows it.

    Args:
        shown: The run as it was seen, or as it begins.
    """

    def __init__(self, shown: Mapping[str, Any]) -> None:
        data = mapping(shown.get("data"))
        self.info = dict(mapping(shown.get("info")))
        self._tags = pairs(data.get("tags"))
        self._params = pairs(data.get("params"))
        self._metrics = {str(one.get("key")): one for one in mappings(data.get("metrics"))}
        self._inputs = dict(mapping(shown.get("inputs")))
        self._outputs = dict(mapping(shown.get("outputs")))

    def show(self) -> dict[str, Any]:
        """Return the run as it stands."""
        data = {
            "metrics": list(self._metrics.values()),
            "params": listed(self._params),
            "tags": listed(self._tags),
        }
        filled = {name: value for name, value in data.items() if value}
        shown = {"info": self.info, "data": filled, "inputs": self._inputs}
        return {**shown, "outputs": self._outputs} if self._outputs else shown

    def update(self, fields: Mapping[str, Any]) -> None:
        """Take in a change of status, end or name."""
        self.info.update({name: fields[name] for name in ("status", "end_time", "run_name") if fields.get(name)})
        if fields.get("run_name"):
            self._tags[RUN_NAME_TAG] = fields["run_name"]

    def log(self, fields: Mapping[str, Any]) -> None:
        """Take in a batch of metrics, params and tags."""
        for point in mappings(fields.get("metrics")):
            known = self._metrics.get(str(point.get("key")))
            if known is None or _moment(point) >= _moment(known):
                self._metrics[str(point.get("key"))] = dict(point)
        self._params.update(pairs(fields.get("params")))
        tags = pairs(fields.get("tags"))
        self._tags.update(tags)
        if tags.get(RUN_NAME_TAG):
            self.info["run_name"] = tags[RUN_NAME_TAG]

    def remove_tag(self, key: str) -> None:
        """Take in that a tag was removed."""
        self._tags.pop(key, None)

    def add_inputs(self, fields: Mapping[str, Any]) -> None:
        """Take in datasets and models that the run read."""
        for name, of in (("dataset_inputs", "datasets"), ("model_inputs", "models")):
            if found := mappings(fields.get(of)):
                self._inputs[name] = [*self._inputs.get(name, ()), *found]

    def add_outputs(self, fields: Mapping[str, Any]) -> None:
        """Take in models that the run made."""
        found = mappings(fields.get("models"))
        self._outputs["model_outputs"] = [*self._outputs.get("model_outputs", ()), *found]


class ModelSketch:
    """A logged model as MLflow's API shows it.

    Args:
        shown: The model as it was seen, or as it begins.
    """

    def __init__(self, shown: Mapping[str, Any]) -> None:
        self.info = dict(mapping(shown.get("info")))
        self._data = dict(mapping(shown.get("data")))

    def show(self) -> dict[str, Any]:
        """Return the model as it stands."""
        return {"info": self.info, "data": self._data}

    def tag(self, tags: Any) -> None:
        """Take in tags."""
        self.info["tags"] = listed({**pairs(self.info.get("tags")), **pairs(tags)})

    def remove_tag(self, key: str) -> None:
        """Take in that a tag was removed."""
        self.info["tags"] = listed({k: value for k, value in pairs(self.info.get("tags")).items() if k != key})

    def add_params(self, params: Any) -> None:
        """Take in parameters."""
        self._data["params"] = listed({**pairs(self._data.get("params")), **pairs(params)})


def pairs(entries: Any) -> dict[str, Any]:
    """Return a list of keys and values as a mapping."""
    return {str(one.get("key")): one.get("value", "") for one in mappings(entries)}


def listed(entries: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a mapping as a list of keys and values."""
    return [{"key": key, "value": value} for key, value in entries.items()]


def mapping(value: Any) -> Mapping[str, Any]:
    """Return a JSON object, empty where it is none."""
    return value if isinstance(value, dict) else {}


def mappings(value: Any) -> list[Mapping[str, Any]]:
    """Return the JSON objects in a list, none where it is no list."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def number(value: Any) -> float:
    """Return a number that may be written as a text, 0 where it is none."""
    try:
        return float(value or 0)
    except (TypeError, ValueError, OverflowError):
        return 0.0


def _moment(point: Mapping[str, Any]) -> tuple[float, float]:
    """Return what the latest of several points is chosen by."""
    return number(point.get("step")), number(point.get("timestamp"))
