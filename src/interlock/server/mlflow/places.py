"""Say at which `mlflow-artifacts:` address the files of a run, a logged model or a model version are, and back.

Three places have files: `/<experiment id>/<run id>/artifacts`, `/<experiment id>/models/<model id>/artifacts` and, for
versions whose files Interlock keeps itself, `/models/<escaped name>/versions/<number>`.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import msgspec

from interlock.ports.experiment_store import Experiment

SCHEME = "mlflow-artifacts"

_ID = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_RUN = re.compile(rf"(\d+)/({_ID})/artifacts(?:/(.+))?")
_LOGGED_MODEL = re.compile(rf"(\d+)/models/({_ID})/artifacts(?:/(.+))?")
_VERSION = re.compile(r"models/([A-Za-z0-9._~-]+)/versions/([1-9]\d{0,17})(?:/(.+))?")
_TO_ESCAPE = re.compile(rb"[^A-Za-z0-9._-]")
_ESCAPED = re.compile(rb"~([0-9A-F]{2})")


class RunPlace(msgspec.Struct, frozen=True):
    """The files of a run, or those below a path of it."""

    experiment_id: int
    run_id: str
    path: str = ""


class LoggedModelPlace(msgspec.Struct, frozen=True):
    """The files of a logged model, or those below a path of it."""

    experiment_id: int
    model_id: str
    path: str = ""


class VersionPlace(msgspec.Struct, frozen=True):
    """The files of a version of a registered model, or those below a path of it."""

    model: str
    version: int
    path: str = ""


Place = RunPlace | LoggedModelPlace | VersionPlace


def uri_of(place: Place) -> str:
    """Return the address at which clients find a place.

    Example:
        >>> uri_of(RunPlace(3, "ab12", "model"))
        'mlflow-artifacts:/3/ab12/artifacts/model'
        >>> uri_of(VersionPlace("Flight delay", 7))
        'mlflow-artifacts:/models/Flight~20delay/versions/7'
    """
    if isinstance(place, RunPlace):
        root = f"{place.experiment_id}/{place.run_id}/artifacts"
    elif isinstance(place, LoggedModelPlace):
        root = f"{place.experiment_id}/models/{place.model_id}/artifacts"
    else:
        root = f"models/{escape(place.model)}/versions/{place.version}"
    return f"{SCHEME}:/{root}" + (f"/{place.path}" if place.path else "")


def run_uri(experiment: Experiment, run_id: str, path: str = "") -> str:
    """Return where clients put the files of a run: here, or where its experiment says."""
    if not experiment.artifact_root:
        return uri_of(RunPlace(experiment.id, run_id, path))
    return _below(experiment.artifact_root, f"{run_id}/artifacts", path)


def logged_model_uri(experiment: Experiment, model_id: str, path: str = "") -> str:
    """Return where clients put the files of a logged model: here, or where its experiment says."""
    if not experiment.artifact_root:
        return uri_of(LoggedModelPlace(experiment.id, model_id, path))
    return _below(experiment.artifact_root, f"models/{model_id}/artifacts", path)


def _below(root: str, *parts: str) -> str:
    """Return an address below another, whose query stays at the end."""
    address, mark, query = root.partition("?")
    return "/".join([address.rstrip("/"), *(part for part in parts if part)]) + mark + query


def place_at(path: str) -> Place | None:
    """Return the place that a path below `mlflow-artifacts:/` names, or None where it names none of the three.

    The path within the place is given back as it came: whoever opens it has to check it.
    """
    if found := _LOGGED_MODEL.fullmatch(path):
        return LoggedModelPlace(int(found[1]), found[2], found[3] or "")
    if found := _RUN.fullmatch(path):
        return RunPlace(int(found[1]), found[2], found[3] or "")
    if (found := _VERSION.fullmatch(path)) and (model := unescape(found[1])) is not None:
        return VersionPlace(model, int(found[2]), found[3] or "")
    return None


def place_of(uri: str) -> Place | None:
    """Return the place that an address names, or None for one elsewhere, or with a query or fragment.

    Example:
        >>> place_of("mlflow-artifacts:/3/models/m-1f/artifacts")
        LoggedModelPlace(experiment_id=3, model_id='m-1f', path='')
    """
    parts = urlsplit(uri)
    if parts.scheme != SCHEME or parts.netloc or parts.query or parts.fragment:
        return None
    return place_at(re.sub("/+", "/", parts.path).strip("/"))


def escape(name: str) -> str:
    """Return the name of a model as one part of a path that no client, proxy or server quotes or unquotes again.

    Example:
        >>> escape("Delay, 2nd/EWR")
        'Delay~2C~202nd~2FEWR'
    """
    return _TO_ESCAPE.sub(lambda found: b"~%02X" % ord(found[0]), name.encode()).decode()


def unescape(text: str) -> str | None:
    """Return the name that was escaped, or None where `escape` would not have written it so."""
    try:
        name = _ESCAPED.sub(lambda found: bytes.fromhex(found[1].decode()), text.encode()).decode()
    except UnicodeDecodeError:
        return None
    return name if escape(name) == text else None
