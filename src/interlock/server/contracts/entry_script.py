"""Run the entry script of an Azure ML deployment: a file with `init()` and `run(data)`.

The script is the user's own code, named by the environment of the process; no request can choose another.
"""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import logging
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from interlock.core.errors import InvalidInput, StepFailed

_MODULE = "interlock_entry_script"
_logger = logging.getLogger(__name__)


class EntryScript:
    """A loaded script whose `init` has run.

    Args:
        path: Where it lies.
        threads: How many requests it may answer at once.

    Raises:
        InvalidInput: There is no such file, or it lacks `init` or `run`, or `run` takes no data.
        StepFailed: It raises when it is loaded or initialised.

    Example:
        script = EntryScript(Path("score.py"))
        await script.run(b'{"data": [[1.0]]}', {})
    """

    def __init__(self, path: Path, *, threads: int = 4) -> None:
        module = _load(path)
        init, run = getattr(module, "init", None), getattr(module, "run", None)
        if not callable(init) or not callable(run):
            raise InvalidInput(f"{path} is no entry script", why="expected functions `init()` and `run(data)`")
        self._run: Callable[..., Any] = run
        self._data, self._takes_headers = _parameters(run, path)
        try:
            init()
        except Exception as error:  # noqa: BLE001 (the user's code)
            raise StepFailed(f"init() of {path.name} failed", why=f"{type(error).__name__}: {error}") from error
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="interlock-script")

    async def run(self, body: bytes, headers: Mapping[str, str]) -> Any:
        """Return what `run` says to a request, as plain values.

        Raises:
            InvalidInput: The body is no text.
            StepFailed: It raised, or returned what JSON cannot hold.
        """
        try:
            text = body.decode()
        except UnicodeDecodeError as error:
            raise InvalidInput("Input cannot be decoded as UTF-8", why=str(error)) from error
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._ask, text, headers)

    def close(self) -> None:
        """End the threads; one that hangs is left behind."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _ask(self, text: str, headers: Mapping[str, str]) -> Any:
        more = {"request_headers": dict(headers)} if self._takes_headers else {}
        try:
            return msgspec.to_builtins(self._run(**{self._data: text}, **more), enc_hook=_plain)
        except Exception as error:  # noqa: BLE001 (the user's code)
            _logger.exception("run() of the entry script failed")
            raise StepFailed("An unexpected error occurred in scoring script. Check the logs for more info.") from error


def _load(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(_MODULE, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise InvalidInput(f"there is no entry script {path}", why="AZUREML_ENTRY_SCRIPT names it, below AML_APP_ROOT")
    module = importlib.util.module_from_spec(spec)
    sys.modules[_MODULE] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # noqa: BLE001 (the user's code)
        raise StepFailed(f"{path.name} cannot be imported", why=f"{type(error).__name__}: {error}") from error
    return module


def _parameters(run: Callable[..., Any], path: Path) -> tuple[str, bool]:
    names = list(inspect.signature(run).parameters)
    takes_headers = "request_headers" in names
    names = [name for name in names if name != "request_headers"]
    if not names:
        raise InvalidInput(f"run() of {path.name} takes no data", why="expected `run(data)`")
    return names[0], takes_headers


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    raise NotImplementedError
