"""Turn trainings that other libraries do into runs; whatever fails here, the training does not notice."""

from __future__ import annotations

import contextlib
import contextvars
import logging
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import msgspec

from interlock.experiments.active import ActiveRun
from interlock.experiments.autolog.data_facts import DataFacts, facts_of
from interlock.experiments.autolog.model_files import ModelFiles
from interlock.experiments.open_runs import current_run
from interlock.experiments.plain_params import described
from interlock.ports.checks import LONGEST_KEY

_log = logging.getLogger("interlock.experiments")
_Result = TypeVar("_Result")


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What to record of a training.

    Args:
        open_run: Opens a run where none is open.
        experiment: Its experiment.
        models: Whether the fitted model is kept, with its signature.
        examples: Whether some rows of the training data are kept with it.
        data: Whether the training data is described, with a digest of all of it.
    """

    open_run: Callable[..., ActiveRun]
    experiment: str = "default"
    models: bool = True
    examples: bool = True
    data: bool = True


class Session:
    """One training that is being recorded."""

    def __init__(self, framework: str, run: ActiveRun, options: Options, *, owned: bool) -> None:
        self.framework = framework
        self.run = run
        self.options = options
        self._owned = owned
        self._known: set[str] = set()
        self.facts: DataFacts | None = None

    def log_params(self, params: Mapping[str, Any], *, prefix: str = "") -> None:
        """Log parameters in words where they are not plain; those that the run has otherwise stay as they are."""
        for key, value in params.items():
            name = f"{prefix}{key}"[:LONGEST_KEY]
            if name not in self._known and value is not None:
                self._known.add(name)
                with quietly(self.framework):
                    self.run.log_params({name: described(value)})

    def log_data(self, rows: Any, target: Any = None, *, name: str = "train", context: str = "training") -> None:
        """Describe what is trained on."""
        if not (self.options.data or self.options.models or self.options.examples):
            return
        with quietly(self.framework):
            facts = facts_of(rows, target, digest=self.options.data)
            if facts is None:
                return
            if context == "training":
                self.facts = facts
            if self.options.data:
                self.run.describe_dataset(facts.use(name, context=context))
                if facts.digest:
                    self.run.set_tags({f"data.{name}": facts.digest})

    def log_model(self, files: Callable[[], ModelFiles]) -> None:
        """Keep the fitted model, with its signature and an example."""
        if not self.options.models:
            return
        with quietly(self.framework):
            made = files()
            outputs = None
            # a model that cannot answer its own rows is kept without saying what it answers
            with quietly(self.framework):
                outputs = made.outputs() if self.facts is not None else None
            facts = self.facts if self.options.examples else None
            folder = made.folder(self.facts, outputs=outputs, example=facts, run_id=self.run.id)
            for path, data in folder.items():
                self.run.log_artifact(data, f"model/{path}")

    def close(self, error: BaseException | None = None) -> None:
        """End the run, if it was begun for this training."""
        if not self._owned:
            return
        with quietly(self.framework):
            if error is None:
                self.run.__exit__(None, None, None)
            else:
                self.run.__exit__(type(error), error, error.__traceback__)


_session: contextvars.ContextVar[Session | None] = contextvars.ContextVar("interlock_autolog_session", default=None)
_silent: contextvars.ContextVar[bool] = contextvars.ContextVar("interlock_autolog_silent", default=False)
_told: set[tuple[str, str]] = set()
_used: set[str] = set()
_running: dict[int, frozenset[int | None]] = {}
"""For each thread that trains, the threads that there were when it began: later ones may be its workers."""


@contextlib.contextmanager
def quietly(framework: str) -> Iterator[None]:
    """Keep what fails in recording from the training; say each thing once."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 (other libraries' objects may raise anything, and training must go on)
        kind = (framework, type(error).__name__)
        if kind not in _told:
            _told.add(kind)
            place = traceback.extract_tb(error.__traceback__)[-1]
            _log.warning(
                "a part of a %s training is not recorded: %s: %s (%s:%s)",
                framework,
                type(error).__name__,
                error,
                place.filename,
                place.lineno,
            )


@contextlib.contextmanager
def unrecorded() -> Iterator[None]:
    """Record no training that begins here, unless it is part of one that is recorded."""
    token = _silent.set(True)
    try:
        yield
    finally:
        _silent.reset(token)


def session_of(framework: str) -> Session | None:
    """Return the session of the training that this code is part of, if that is one of this framework."""
    session = _session.get()
    return session if session is not None and session.framework == framework else None


def recorded(
    framework: str,
    options: Options,
    *,
    title: Callable[[], str],
    train: Callable[[], _Result],
    before: Callable[[Session], None] | None = None,
    after: Callable[[Session, _Result], None] | None = None,
) -> _Result:
    """Do a training and record it; a training inside another is part of that one.

    Args:
        framework: Whose training it is.
        options: What to record.
        title: Names the run that is opened where there is none.
        train: Does the training.
        before: Logs what is known before.
        after: Logs what is known after.
    """
    session = None
    if _session.get() is None and not _silent.get() and not _is_worker():
        with quietly(framework):
            session = _begun(framework, options, title())
    if session is None:
        return train()
    token = _session.set(session)
    ident = threading.get_ident()
    _running[ident] = frozenset(thread.ident for thread in threading.enumerate())
    try:
        if before is not None:
            with quietly(framework):
                before(session)
        try:
            result = train()
        except BaseException as error:
            session.close(error)
            raise
        if after is not None:
            with quietly(framework):
                after(session, result)
        session.close()
        return result
    finally:
        _running.pop(ident, None)
        _session.reset(token)


def _is_worker() -> bool:
    """Say whether this thread was started by a training that goes on in another."""
    ident = threading.get_ident()
    return any(ident not in before for before in list(_running.values()))


def _begun(framework: str, options: Options, title: str) -> Session:
    around = current_run()
    if around is not None and around.id not in _used:
        _used.add(around.id)
        around.start()
        around.set_tags({"autolog": framework})
        return Session(framework, around, options, owned=False)
    experiment = around.experiment if around is not None else options.experiment
    # the second training within one run is one inside it: its params would contradict those of the first
    parent = around.id if around is not None else None
    run = options.open_run(experiment, name=title, tags={"autolog": framework}, parent=parent)
    _used.add(run.id)
    run.__enter__()
    return Session(framework, run, options, owned=True)
