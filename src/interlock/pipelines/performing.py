"""Execute one step call where the executor put it: this thread, or another process."""

from __future__ import annotations

import contextlib
import inspect
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import msgspec

from interlock.core.active_run import active_run
from interlock.core.errors import InterlockError, StepFailed
from interlock.core.units import human_seconds
from interlock.pipelines.context import Scope, current_scope
from interlock.pipelines.deadlines import deadline
from interlock.pipelines.outputs import PARTS, encode_parts
from interlock.pipelines.secrets import Secrets, in_environment, read_secrets
from interlock.pipelines.sessions import without_session
from interlock.pipelines.step_logs import Redactor, StepLog, captured
from interlock.pipelines.steps import Step
from interlock.pipelines.storing import Stored, encode
from interlock.pipelines.watches import Findings, Watch
from interlock.pipelines.watching import watched

_LOG = "_interlock_step_log"


class Performed(msgspec.Struct, frozen=True):
    """A step's output in the form it is stored in, how long it took, and how many attempts that was.

    Args:
        stored: The output; empty, in the form `parts`, where it has several fields.
        duration_s: How long it took, all attempts together.
        attempts: How many attempts that was.
        parts: Each field of several outputs.
        log: What it printed and logged.
        findings: What it touched besides its inputs.
    """

    stored: Stored
    duration_s: float
    attempts: int
    parts: dict[str, Stored] = {}
    log: str = ""
    findings: Findings = Findings()


class Setting(msgspec.Struct, frozen=True):
    """What a step call is given besides its arguments.

    Args:
        key: Its key, by which its checkpoint folder is found again.
        folder: Where checkpoints and live logs are; empty for none that outlast the call.
        secrets: Its secrets, already read.
    """

    key: str = ""
    folder: str = ""
    secrets: Secrets = msgspec.field(default_factory=Secrets)


def setting_for(step: Step[..., Any], *, key: str, folder: Path | None) -> Setting:
    """Return what a step call is given, its secrets read.

    Raises:
        InvalidInput: A secret is not there.
    """
    return Setting(key, str(folder.absolute()) if folder else "", read_secrets(step.config.secrets, step=step.name))


def perform(
    step: Step[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    run_id: str,
    setting: Setting | None = None,
) -> Performed:
    """Call a step's function, again if it raises and may be retried, check what it returns, and encode that.

    Raises:
        WrongType: An argument or the output is not of the announced type.
        SchemaMismatch: A table lacks a column, or a value breaks a rule of its annotation.
        TimedOut: An attempt took longer than it may.
    """
    setting = setting or Setting()
    redact = Redactor(list(setting.secrets.values()))
    log = StepLog(step.config.log_limit_bytes, file=live_file(setting.folder, run_id, "log"), redact=redact)
    scope = _scope(setting, run_id, log)
    run_token, scope_token = active_run.set(run_id), current_scope.set(scope)
    began = time.perf_counter()
    redacted: Exception | None = None
    try:
        with captured(log), in_environment(setting.secrets):
            value, attempts, findings = _attempt(step, args, kwargs, scope)
            duration_s = time.perf_counter() - began
            stored, parts = _encoded(step, value)
    except Exception as error:
        shown = _redacted(error, redact) if redact else error
        shown.__dict__[_LOG] = log.text()
        if shown is error:
            raise
        redacted = shown  # raised below: raised here, it would hold the error that it stands for
    finally:
        current_scope.reset(scope_token)
        active_run.reset(run_token)
        scope.close()
    if redacted is not None:
        raise redacted
    scope.succeeded()
    return Performed(stored, duration_s, attempts, parts, log.text(), findings)


def log_of(error: BaseException) -> str:
    """Return what a step that raised this had printed and logged."""
    return str(error.__dict__.get(_LOG, ""))


def was_lost(error: BaseException) -> bool:
    """Say whether a call ended because its process did, so that starting it again may help."""
    return type(error) is StepFailed and _LOG not in error.__dict__


def live_file(folder: Path | str, run_id: str, kind: str) -> str:
    """Return the path where a running step writes its `log` or its `progress`; empty where nothing is written."""
    return f"{folder}/live/{run_id}.{kind}" if folder and run_id else ""


def forget_live(folder: Path | str, run_id: str) -> str:
    """Delete what a step wrote while it ran; return its log, for one that could not hand it over."""
    log, text = Path(live_file(folder, run_id, "log")), ""
    if not folder:
        return ""
    with contextlib.suppress(FileNotFoundError):
        text = log.read_text(encoding="utf-8", errors="replace")
        log.unlink()
    log.with_suffix(".progress").unlink(missing_ok=True)
    return text


def _scope(setting: Setting, run_id: str, log: StepLog) -> Scope:
    name = setting.key.rpartition(":")[2]
    checkpoint = f"{setting.folder}/checkpoints/{name}" if setting.folder and name else ""
    return Scope(log, checkpoint=checkpoint, progress=live_file(setting.folder, run_id, "progress"))


def _attempt(
    step: Step[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], scope: Scope
) -> tuple[Any, int, Findings]:
    options, edges = step.config, step.edges
    given = step.signature.bind(*args, **kwargs).arguments
    edges.check_arguments(inspect.BoundArguments(step.signature, given))
    while True:
        try:
            with deadline(options.timeout_s, name=step.name), _watched(step, given, scope) as watch:
                value = without_session(step.__wrapped__, *args, **kwargs)
        except options.retry_on as error:
            if scope.attempt > options.retries:
                raise
            wait_s = options.wait_s(scope.attempt)
            again = f"attempt {scope.attempt} of {options.retries + 1} failed: {_in_short(error)}"
            scope.log.write(again + (f"; again in {human_seconds(wait_s)}\n" if wait_s else "; again\n"))
            if wait_s:
                time.sleep(wait_s)
            scope.attempt += 1
            continue
        edges.check_result(value)
        return value, scope.attempt, watch.findings()


def _in_short(error: BaseException) -> str:
    return f"{type(error).__name__}: {error.what if isinstance(error, InterlockError) else error}"


def _watched(step: Step[..., Any], given: Mapping[str, Any], scope: Scope) -> AbstractContextManager[Watch]:
    return watched(step.__wrapped__, given, secrets=step.config.secrets, own=scope.folder)


def _encoded(step: Step[..., Any], value: Any) -> tuple[Stored, dict[str, Stored]]:
    fields = step.outputs.split(value) if step.outputs is not None else None
    if fields is None:
        return encode(value), {}
    return Stored(PARTS, b""), encode_parts(fields)


def _redacted(error: Exception, redact: Redactor) -> Exception:
    """Return the error itself, or one that says the same without the secrets that it, or what caused it, shows."""
    told = "".join(traceback.format_exception(error)) + repr(error)
    if redact(told) == told:
        return error
    if isinstance(error, InterlockError):
        return type(error)(redact(error.what), why=redact(error.why), fix=redact(error.fix))
    return StepFailed(redact(f"{type(error).__name__}: {error}"), why=redact(told))
