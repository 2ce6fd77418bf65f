"""Answer MLflow's endpoints for logged models: what runs log before anybody registers it."""

from __future__ import annotations

import re
import secrets
from typing import Annotated

import msgspec

from interlock.core.errors import Conflict, InvalidInput, NotFound
from interlock.ports.checks import LONGEST_KEY, check_path
from interlock.ports.experiment_store import Experiment
from interlock.ports.logged_model_store import (
    DatasetMeant,
    LoggedModel,
    LoggedModelChange,
    LoggedModelStatus,
)
from interlock.ports.search import Compare, Field, OrderBy
from interlock.ports.search_fields import MLFLOW_LOGGED_MODELS
from interlock.ports.search_grammar import parse_filter
from interlock.server.http import Answer, Request, Response
from interlock.server.mlflow.artifacts import download
from interlock.server.mlflow.file_tree import FileTree
from interlock.server.mlflow.key_rules import check_key
from interlock.server.mlflow.known_runs import active_experiment, experiment_number
from interlock.server.mlflow.logged_model_records import STATUS_NAMES, LoggedModelRecord, logged_model_record
from interlock.server.mlflow.model_search import checked_limit
from interlock.server.mlflow.places import SCHEME, logged_model_uri
from interlock.server.mlflow.registered import checked_tags
from interlock.server.mlflow.run_records import KeyValue
from interlock.server.mlflow.wire import DONE, Endpoint, Ground, RawEndpoint, invalid, missing, read, required
from interlock.server.router import REST

DEFAULT_PAGE = 50
MOST_IN_PAGE = 10_000
MOST_EXPERIMENTS = 10_000
LONGEST_PARAM = 6000
_FORBIDDEN_IN_NAMES = ("/", ":", ".", "%", '"', "'")
_ADJECTIVES = ("bold", "brisk", "calm", "clear", "deft", "fair", "keen", "kind", "quick", "quiet", "sure", "warm")
_NOUNS = ("birch", "cloud", "crane", "delta", "fjord", "heron", "larch", "otter", "ridge", "river", "swift", "tern")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,249}")


class _Create(msgspec.Struct, kw_only=True):
    experiment_id: str = ""
    name: str | None = None
    model_type: str | None = None
    source_run_id: str | None = None
    params: list[KeyValue] | None = None
    tags: list[KeyValue] | None = None


class _OneModel(msgspec.Struct, kw_only=True):
    model_id: str
    allow_deleted: bool | str = False


class _Finalize(msgspec.Struct, kw_only=True):
    model_id: str
    status: str | int = ""


class _SetTags(msgspec.Struct, kw_only=True):
    model_id: str
    tags: list[KeyValue] | None = None


class _DeleteTag(msgspec.Struct, kw_only=True):
    model_id: str
    path: str


class _LogParams(msgspec.Struct, kw_only=True):
    model_id: str
    params: list[KeyValue] | None = None


class _Dataset(msgspec.Struct, kw_only=True):
    dataset_name: str = ""
    dataset_digest: str | None = None


class _OrderBy(msgspec.Struct, kw_only=True):
    field_name: str = ""
    ascending: bool | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None


class _Search(msgspec.Struct, kw_only=True):
    experiment_ids: list[str] = []
    filter: str | None = None
    datasets: list[_Dataset] | None = None
    max_results: Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)] | None = None
    order_by: list[_OrderBy] | None = None
    page_token: str | None = None


class _ListFiles(msgspec.Struct, kw_only=True):
    model_id: str
    artifact_directory_path: str | None = None


class _OneFile(msgspec.Struct, kw_only=True):
    model_id: str
    artifact_file_path: str = ""


class LoggedModelAnswer(msgspec.Struct, frozen=True):
    """One logged model."""

    model: LoggedModelRecord


class LoggedModelsAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Some logged models."""

    models: list[LoggedModelRecord] = []
    next_page_token: str = ""


class FileRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A file or a folder; folders have no size."""

    path: str
    is_dir: bool
    file_size: int | None = None


class FilesAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """The files and folders right below a folder of a logged model."""

    root_uri: str
    files: list[FileRecord] = []


def _create(ground: Ground, asked: _Create) -> LoggedModelAnswer:
    if not asked.experiment_id:
        raise required("experiment_id")
    name = _checked_name(asked.name)
    params = _checked_params(asked.params)
    tags = checked_tags(asked.tags or ())
    experiment = active_experiment(ground, asked.experiment_id)
    now = ground.clock.now()
    model = LoggedModel(
        id=f"m-{secrets.token_hex(16)}",
        experiment=experiment.name,
        name=name,
        created_at=now,
        updated_at=now,
        run=asked.source_run_id or None,
        kind=asked.model_type or "",
        params=params,
        tags=tags,
    )
    return LoggedModelAnswer(logged_model_record(ground.stores.logged_models.create(model), experiment))


def _get(ground: Ground, asked: _OneModel) -> LoggedModelAnswer:
    deleted_too = str(asked.allow_deleted).lower() == "true"
    return _shown(ground, _known(ground, asked.model_id, deleted_too=deleted_too))


def _finalize(ground: Ground, asked: _Finalize) -> LoggedModelAnswer:
    known = _known(ground, asked.model_id, deleted_too=True)
    return _shown(ground, _change(ground, known.id, LoggedModelChange(status=_checked_status(asked.status))))


def _delete(ground: Ground, asked: _OneModel) -> Response:
    known = _known(ground, asked.model_id, deleted_too=True)
    _change(ground, known.id, LoggedModelChange(deleted=True))
    return DONE


def _set_tags(ground: Ground, asked: _SetTags) -> LoggedModelAnswer:
    known = _known(ground, asked.model_id, deleted_too=True)
    return _shown(ground, _change(ground, known.id, LoggedModelChange(tags=checked_tags(asked.tags or ()))))


def _delete_tag(ground: Ground, asked: _DeleteTag) -> Response:
    known = _known(ground, asked.model_id, deleted_too=True)
    if asked.path not in known.tags:
        raise missing(f"No tag with key {asked.path!r} found for model with ID {known.id!r}.")
    _change(ground, known.id, LoggedModelChange(remove_tags=(asked.path,)))
    return DONE


def _log_params(ground: Ground, asked: _LogParams) -> LoggedModelAnswer:
    known = _known(ground, asked.model_id, deleted_too=True)
    return _shown(ground, _change(ground, known.id, LoggedModelChange(params=_checked_params(asked.params))))


def _search(ground: Ground, asked: _Search) -> LoggedModelsAnswer:
    if not asked.experiment_ids:
        raise required("experiment_ids")
    if len(asked.experiment_ids) > MOST_EXPERIMENTS:
        raise invalid(f"A search can be of at most {MOST_EXPERIMENTS} experiments. Got {len(asked.experiment_ids)}.")
    limit = checked_limit(asked.max_results or DEFAULT_PAGE, most=MOST_IN_PAGE)
    if any(not one.dataset_name for one in asked.datasets or ()):
        raise invalid("`dataset_name` in the `datasets` clause must be specified.")
    experiments = _experiments(ground, asked.experiment_ids)
    where = parse_filter(asked.filter, MLFLOW_LOGGED_MODELS)
    order = tuple(_order_key(one) for one in asked.order_by or ())
    if not experiments:
        return LoggedModelsAnswer()
    page = ground.stores.logged_models.search(
        experiments=tuple(experiments),
        where=where,
        datasets=tuple(DatasetMeant(one.dataset_name, one.dataset_digest or "") for one in asked.datasets or ()),
        order=order,
        limit=limit,
        after=asked.page_token or None,
    )
    records = [
        logged_model_record(one, experiments.get(one.experiment) or _experiment(ground, one)) for one in page.models
    ]
    return LoggedModelsAnswer(records, page.after or "")


def _files(ground: Ground, asked: _ListFiles) -> FilesAnswer:
    root = _root(ground, asked.model_id)
    folder = asked.artifact_directory_path or ""
    if folder:
        try:
            check_path(folder, of="artifact_directory_path")
        except InvalidInput:
            raise invalid(f"Invalid path: {folder[:300]}") from None
    path = _path_here(root)
    if path is None:
        # its files are elsewhere, and nothing but a client goes there
        return FilesAnswer(root)
    tree = FileTree(ground.stores, ground.clock)
    start = f"models/{asked.model_id}/"
    return FilesAnswer(
        root,
        [
            FileRecord(one.path.removeprefix(start), one.is_dir, None if one.is_dir else one.size_bytes)
            for one in tree.children(f"{path}/{folder}" if folder else path)
        ],
    )


async def _file(ground: Ground, request: Request) -> Answer:
    """Send one file of a logged model, as the artifact proxy sends it."""
    asked = await read(request, _OneFile)
    if not asked.artifact_file_path:
        raise required("artifact_file_path")
    path = _path_here(await ground.workers.run(_root, ground, asked.model_id))
    if path is None:
        raise missing(f"The files of logged model '{asked.model_id[:300]}' are not kept here.")
    params = {"path": f"{path}/{asked.artifact_file_path}"}
    return await download(ground, Request(request.scope, request.receive, params=params, limits=request.limits))


def _root(ground: Ground, model_id: str) -> str:
    """Return where the files of a logged model are."""
    known = _known(ground, model_id)
    return logged_model_uri(_experiment(ground, known), known.id)


def _path_here(uri: str) -> str | None:
    """Return the path in the artifact proxy that an address means, or None for one elsewhere."""
    start = f"{SCHEME}:/"
    return uri.removeprefix(start).strip("/") if uri.startswith(start) and not uri.startswith(f"{start}/") else None


def _experiments(ground: Ground, ids: list[str]) -> dict[str, Experiment]:
    """Return those of some experiments that there are, by name."""
    found = {}
    for number in map(experiment_number, ids):
        try:
            experiment = ground.stores.experiments.get(number)
        except NotFound:
            continue
        found[experiment.name] = experiment
    return found


def _known(ground: Ground, model_id: str, *, deleted_too: bool = False) -> LoggedModel:
    found: tuple[LoggedModel, ...] = ()
    try:
        return ground.stores.logged_models.get(model_id)
    except NotFound:
        if deleted_too and _ID.fullmatch(model_id):
            same = Compare(Field("attribute", "id"), "=", model_id)
            found = ground.stores.logged_models.search(where=same, lifecycle="deleted", limit=1).models
    if not found:
        raise missing(f"Logged model with ID '{model_id[:300]}' not found.")
    return found[0]


def _change(ground: Ground, model_id: str, change: LoggedModelChange) -> LoggedModel:
    try:
        return ground.stores.logged_models.update(model_id, change)
    except NotFound:
        raise missing(f"Logged model with ID '{model_id[:300]}' not found.") from None
    except Conflict as conflict:
        raise invalid(f"{conflict.what}: {conflict.why}") from None


def _experiment(ground: Ground, model: LoggedModel) -> Experiment:
    """Return the experiment of a model, also when it was given another name since the model was read."""
    found = ground.stores.experiments.find(model.experiment)
    return found or ground.stores.experiments.ensure(_known(ground, model.id, deleted_too=True).experiment)


def _shown(ground: Ground, model: LoggedModel) -> LoggedModelAnswer:
    return LoggedModelAnswer(logged_model_record(model, _experiment(ground, model)))


def _order_key(asked: _OrderBy) -> OrderBy:
    if not asked.field_name:
        raise invalid("`field_name` in the `order_by` clause must be specified.")
    if asked.dataset_digest and not asked.dataset_name:
        raise invalid("`dataset_digest` can only be specified if `dataset_name` is also specified.")
    entity, dot, key = asked.field_name.partition(".")
    if dot and entity != "metrics":
        raise invalid(f"Invalid order by field name: {asked.field_name}. Only metrics are supported.")
    if dot:
        field = Field("metric", key.strip("`"), dataset=asked.dataset_name or "", digest=asked.dataset_digest or "")
    else:
        attribute = MLFLOW_LOGGED_MODELS.attributes.get(asked.field_name)
        if attribute is None:
            raise invalid(f"Invalid order by field name: {asked.field_name}")
        field = Field("attribute", attribute.key)
    return OrderBy(field, descending=asked.ascending is False)


def _checked_name(name: str | None) -> str:
    if name is None or name == "":
        return f"{secrets.choice(_ADJECTIVES)}-{secrets.choice(_NOUNS)}-{secrets.randbelow(1000)}"
    if any(one in name for one in _FORBIDDEN_IN_NAMES):
        raise invalid(
            f"Invalid model name ({name!r}) provided. Model name must be a non-empty string and cannot contain the"
            f" following characters: {_FORBIDDEN_IN_NAMES}"
        )
    return name


def _checked_params(params: list[KeyValue] | None) -> dict[str, str]:
    found: dict[str, str] = {}
    for param in params or ():
        # clients cut the keys of runs' params to what MLflow takes there, and those of models' not
        check_key(param.key, path="params.key", of="Param key", longest=LONGEST_KEY)
        if found.setdefault(param.key, param.value[:LONGEST_PARAM]) != param.value[:LONGEST_PARAM]:
            raise invalid(f"Duplicate parameter keys have been submitted: ['{param.key}']. Give each key once.")
    return found


def _checked_status(status: str | int) -> LoggedModelStatus:
    text = str(status)
    if text in ("", "0"):
        raise required("status")
    for number, (ours, name) in enumerate(STATUS_NAMES.items(), start=1):
        if text in (name, str(number)):
            return ours
    raise invalid(f"Unknown model status: {text[:300]}")


_ROOT = "/2.0/mlflow/logged-models"
_ONE = _ROOT + "/{model_id}"

ENDPOINTS = (
    Endpoint(method="POST", path=_ROOT, request=_Create, handle=_create),
    Endpoint(method="POST", path=f"{_ROOT}/search", request=_Search, handle=_search),
    Endpoint(method="GET", path=_ONE, request=_OneModel, handle=_get),
    Endpoint(method="PATCH", path=_ONE, request=_Finalize, handle=_finalize),
    Endpoint(method="DELETE", path=_ONE, request=_OneModel, handle=_delete),
    Endpoint(method="PATCH", path=f"{_ONE}/tags", request=_SetTags, handle=_set_tags),
    Endpoint(method="DELETE", path=f"{_ONE}/tags/{REST}", request=_DeleteTag, handle=_delete_tag),
    Endpoint(method="POST", path=f"{_ONE}/params", request=_LogParams, handle=_log_params),
    Endpoint(method="GET", path=f"{_ONE}/artifacts/directories", request=_ListFiles, handle=_files),
    RawEndpoint(method="GET", path=f"{_ONE}/artifacts/files", answer=_file),
)
