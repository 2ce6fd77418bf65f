"""Say what the source of a model version means: of which run or logged model it is, and which files of ours it names.

A source is a text of the client's. It is compared and recorded; nothing that it addresses is ever opened, except the
files that this workspace itself keeps for the run, the logged model or the version it names.
"""

from __future__ import annotations

import posixpath
import re
from urllib.parse import unquote, unquote_plus, urlsplit

import msgspec

from interlock.core.errors import NotFound
from interlock.ports.file_rules import check_file_path
from interlock.ports.logged_model_store import LoggedModel
from interlock.ports.model_catalog import VersionNotes
from interlock.ports.model_store import PackageFile
from interlock.ports.run_rules import is_below
from interlock.ports.stores import Stores
from interlock.server.mlflow.known_runs import experiment_of
from interlock.server.mlflow.places import (
    LoggedModelPlace,
    Place,
    RunPlace,
    VersionPlace,
    logged_model_uri,
    place_of,
    run_uri,
    uri_of,
)
from interlock.server.mlflow.refusals import invalid_value
from interlock.server.mlflow.registered import VersionAddress, find_version, is_prompt, known_model, known_version
from interlock.server.mlflow.wire import Failure, Ground, invalid, missing

LONGEST = 4096
"""Characters in a source."""
_REACHING_OUT = frozenset({"http", "https", "ftp", "ftps", "sftp"})
_MOST_DECODINGS = 10
_MOST_COPIES = 16
_PAGE = 1000


class Origin(msgspec.Struct, frozen=True):
    """Where a version comes from.

    Args:
        source: Its source, as it is recorded.
        run: Id of the run that made it.
        logged_model: Id of the logged model it is.
        made_of: Ref of the version it is a copy of.
        place: Where its files are in this workspace, if they are.
    """

    source: str
    run: str | None = None
    logged_model: str = ""
    made_of: str = ""
    place: Place | None = None


def origin_of(ground: Ground, source: str, *, run_id: str | None, model_id: str | None) -> Origin:
    """Return what a source means, if whoever names it may.

    Args:
        ground: Where runs, logged models and versions are.
        source: An address: `models:/…`, `runs:/…`, `mlflow-artifacts:/…`, or one of a store elsewhere.
        run_id: The run that is said to have made it; None where nothing is said.
        model_id: The logged model that it is said to be; None where nothing is said.
    """
    if len(source) > LONGEST:
        raise invalid(f"'source' exceeds the maximum length of {LONGEST} characters")
    scheme, netloc = _head(source)
    if scheme in ("", "file") or len(scheme) == 1:
        return _local(ground, source, run_id or "", model_id or "")
    _check_plain(source)
    if scheme in _REACHING_OUT or (scheme == "mlflow-artifacts" and netloc):
        raise invalid(
            f"'source' cannot use the '{scheme}' scheme with a host: it addresses another server, and this one only"
            " reads files that it keeps itself."
        )
    if scheme == "models":
        return _of_model(ground, source, run_id, model_id)
    model = _logged_model(ground, model_id) if model_id else None
    run = run_id or (model.run if model else None) or None
    if scheme == "runs":
        return _of_run(source, run_id or "", model_id or "")
    if scheme == "mlflow-artifacts":
        return _of_artifacts(ground, source, run_id or "", model)
    return Origin(source, run, model_id or "")


def files_at(stores: Stores, place: Place | None) -> tuple[PackageFile, ...]:
    """Return the files at a place, by their paths below it."""
    if place is None:
        return ()
    found: list[tuple[str, str, int]] = []
    if isinstance(place, LoggedModelPlace):
        root = f"models/{place.model_id}"
        prefix = check_file_path(f"{root}/{place.path}" if place.path else root)
        after = ""
        while page := stores.files.files(prefix, after=after, limit=_PAGE):
            found += [(one.path.removeprefix(f"{root}/"), one.digest, one.size_bytes) for one in page]
            after = page[-1].path
    elif isinstance(place, RunPlace):
        try:
            found = [(one.path, one.digest, one.size_bytes) for one in stores.runs.artifacts(place.run_id)]
        except NotFound:
            return ()
    else:
        version = stores.models.get(place.model, version=place.version)
        found = [(one.path, one.digest, one.size_bytes) for one in version.files]
    start = f"{place.path}/" if place.path else ""
    below = [one for one in found if one[0] != place.path and (not start or is_below(one[0], place.path))]
    return tuple(PackageFile(path.removeprefix(start), digest, size) for path, digest, size in below)


def download_uri(ground: Ground, notes: VersionNotes) -> str:
    """Return where clients find the files of a version: those kept for it, or what its source means."""
    for _ in range(_MOST_COPIES):
        if ground.stores.models.get(notes.model, version=notes.version).files:
            return uri_of(VersionPlace(notes.model, notes.version))
        address = _model_address(notes.source)
        if address is None:
            return notes.source
        if isinstance(address, str):
            model = _logged_model(ground, address)
            return logged_model_uri(ground.stores.experiments.ensure(model.experiment), model.id)
        copied = find_version(ground, address)
        if copied is None:
            return notes.source
        notes = copied
    return notes.source


def _of_model(ground: Ground, source: str, run_id: str | None, model_id: str | None) -> Origin:
    if _head(source)[1]:
        raise invalid(
            f"Invalid model version source: '{source}'. Registered model sources must use the active model registry."
        )
    address = _model_address(source)
    if address is None:
        raise _refused(source, "model_id")
    if isinstance(address, str):
        if address != model_id:
            raise _refused(source, "model_id")
        model = _logged_model(ground, address)
        experiment = ground.stores.experiments.ensure(model.experiment)
        return Origin(source, run_id or model.run, model.id, place=LoggedModelPlace(experiment.id, model.id))
    if is_prompt(known_model(ground, address.model).tags):
        raise invalid(
            f"Invalid model version source: '{source}'. Prompt versions cannot be used as model version sources."
        )
    notes = known_version(ground, address)
    if (run_id is not None and run_id != (notes.run or "")) or (
        model_id is not None and model_id != notes.logged_model
    ):
        raise invalid(
            f"Invalid model version source: '{source}'. The run_id and model_id request parameters must match the"
            " referenced model version."
        )
    version = ground.stores.models.get(notes.model, version=notes.version)
    return Origin(
        f"models:/{notes.model}/{notes.version}",
        notes.run,
        notes.logged_model,
        made_of=version.ref,
        place=VersionPlace(notes.model, notes.version),
    )


def _of_run(source: str, run_id: str, model_id: str) -> Origin:
    parts = urlsplit(source)
    named, _, path = parts.path.removeprefix("/").partition("/")
    if model_id:
        raise _refused(source, "model_id")
    if parts.netloc or not run_id or named != run_id:
        raise _refused(source, "run_id")
    return Origin(source, run_id, place=RunPlace(0, run_id, re.sub("/+", "/", unquote(path)).strip("/")))


def _of_artifacts(ground: Ground, source: str, run_id: str, model: LoggedModel | None) -> Origin:
    place = place_of(source)
    if model is not None:
        if isinstance(place, LoggedModelPlace) and place.model_id == model.id:
            return Origin(source, run_id or model.run, model.id, place=place)
        if _is_within(source, _uri_of_model(ground, model)):
            return Origin(source, run_id or model.run, model.id)
        raise _refused(source, "model_id")
    if isinstance(place, RunPlace) and run_id and place.run_id == run_id and _run_address(ground, run_id):
        return Origin(source, run_id, place=place)
    if run_id and _is_within(source, _run_address(ground, run_id)):
        return Origin(source, run_id)
    raise _refused(source, "run_id")


def _local(ground: Ground, source: str, run_id: str, model_id: str) -> Origin:
    """Record a path on somebody's disk, if it is within what its run or model is said to have there."""
    scheme, netloc = _head(source)
    if scheme == "file" and netloc not in ("", "localhost", "127.0.0.1", "."):
        raise invalid(f"{source} is not a valid remote uri.")
    if model_id:
        model = _logged_model(ground, model_id)
        root, run, said = _uri_of_model(ground, model), run_id or model.run, "model_id"
    else:
        root, run, said = _run_address(ground, run_id), run_id, "run_id"
    if root and _head(root)[0] in ("", "file") and _is_within_folder(source, root):
        return Origin(source, run or None, model_id)
    what = "model" if model_id else "run"
    raise invalid(
        f"Invalid model version source: '{source}'. To use a local path as a model version source, the {said} request"
        f" parameter has to be specified and the local path has to be contained within the artifact directory of the"
        f" {what} specified by the {said}."
    )


def _check_plain(source: str) -> None:
    """Refuse an address whose path leads elsewhere, however often it is encoded."""
    plain = source
    for _ in range(_MOST_DECODINGS):
        decoded = unquote_plus(plain)
        if decoded == plain:
            break
        plain = decoded
    path = re.sub("/+", "/", _path(plain).rstrip("/"))
    odd = "\0" in plain or "\\" in plain or any(part == ".." for part in plain.split("/"))
    if odd or (path.startswith("/") and posixpath.normpath(path) != path) or unquote_plus(plain) != plain:
        raise invalid(
            f"Invalid model version source: '{source}'. If supplying a source as an http, https, local file path, ftp,"
            " objectstore, or mlflow-artifacts uri, an absolute path must be provided without relative path references"
            " present. Please provide an absolute path."
        )


def _model_address(source: str) -> str | VersionAddress | None:
    """Return the id of the logged model, or the version, that `models:/…` names; None for anything else."""
    scheme, netloc = _head(source)
    path = _path(source)
    if scheme != "models" or netloc or not path.startswith("/"):
        return None
    parts = path.lstrip("/").split("/")
    if len(parts) > 2 or not parts[0].strip():
        return None
    if len(parts) == 2:
        if not parts[1].strip():
            return None
        number = parts[1].isascii() and parts[1].isdecimal() and len(parts[1]) < 19
        return VersionAddress(parts[0], number=int(parts[1])) if number else VersionAddress(parts[0], stage=parts[1])
    name, at, alias = parts[0].rpartition("@")
    if not at:
        return alias
    return VersionAddress(name, alias=alias) if alias.strip() and name else None


def _logged_model(ground: Ground, model_id: str) -> LoggedModel:
    try:
        return ground.stores.logged_models.get(model_id)
    except NotFound:
        raise missing(f"Logged model with ID '{model_id[:300]}' not found.") from None


def _uri_of_model(ground: Ground, model: LoggedModel) -> str:
    return logged_model_uri(ground.stores.experiments.ensure(model.experiment), model.id)


def _run_address(ground: Ground, run_id: str) -> str:
    """Return where the files of a run are, or nothing where there is no such run."""
    try:
        run = ground.stores.runs.get(run_id) if run_id else None
    except NotFound:
        run = None
    return "" if run is None else run_uri(experiment_of(ground, run), run.id)


def _is_within(source: str, root: str) -> bool:
    """Say whether an address is another, or lies below it."""
    if not root or _head(source) != _head(root) or "?" in source or "#" in source:
        return False
    inner, outer = _parts(source), _parts(root)
    return bool(outer) and inner[: len(outer)] == outer


def _is_within_folder(source: str, root: str) -> bool:
    """Say whether a path is another, or lies below it, by their texts alone."""
    if ".." in re.split(r"[/\\]", unquote(source)) or "\0" in unquote(source):
        return False
    inner, outer = _parts(source), _parts(root)
    absolute = _path(source).startswith("/") == _path(root).startswith("/")
    return bool(outer) and absolute and inner[: len(outer)] == outer


def _parts(uri: str) -> list[str]:
    return [unquote(part) for part in _path(uri).split("/") if part not in ("", ".")]


def _head(uri: str) -> tuple[str, str]:
    """Return the scheme and the host of an address."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        raise invalid(invalid_value("source", uri, "It is no address.")) from None
    return parts.scheme, parts.netloc


def _path(uri: str) -> str:
    """Return the path of an address, with all that follows it."""
    scheme, colon, rest = uri.partition(":")
    rest = rest if colon and re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", scheme) else uri
    return "/" + rest[2:].partition("/")[2] if rest.startswith("//") else rest


def _refused(source: str, said: str) -> Failure:
    return invalid(
        f"Invalid model version source: '{source}'. The {said} request parameter must identify the resource that"
        " contains the source."
    )
