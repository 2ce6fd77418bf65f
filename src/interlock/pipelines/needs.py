"""Say what a step needs of an executor, and name the environment that it has of its own."""

from __future__ import annotations

from pathlib import Path

from interlock.core.errors import InvalidInput
from interlock.core.hashing import digest_of, digest_of_value
from interlock.pipelines.context import process_folder
from interlock.pipelines.options import StepOptions
from interlock.ports.executor import Resources

_LOCK_ENDINGS = (".txt", ".lock", ".toml")
_GRACE_S = 1.0


def resources_of(options: StepOptions, folder: Path | None = None) -> Resources:
    """Return what an executor has to give a step.

    Attempts end by themselves in time; the executor's limit, a little above all of them together, ends those that
    cannot be ended from inside.

    Args:
        options: The step's options.
        folder: Where a list of requirements is written down as a file; a temporary one if not given.

    Raises:
        InvalidInput: The environment names a lock file that is not there.
    """
    return Resources(
        options.cpus, options.gpus, options.memory_bytes, _limit_s(options), _file(options.environment, folder)
    )


def environment_id(environment: tuple[str, ...]) -> str:
    """Return an id that changes with what is to be installed; empty for the pipeline's own environment.

    Raises:
        InvalidInput: It names a lock file that is not there.
    """
    lock = _lock(environment)
    if lock is not None:
        return digest_of(lock.read_bytes())
    return digest_of_value(sorted(environment)) if environment else ""


def _limit_s(options: StepOptions) -> float | None:
    if options.timeout_s is None:
        return None
    waits_s = sum(min(options.backoff_s * 2.0 ** min(n, 60), options.backoff_limit_s) for n in range(options.retries))
    return (options.retries + 1) * (1.1 * options.timeout_s + _GRACE_S) + waits_s


def _file(environment: tuple[str, ...], folder: Path | None) -> str | None:
    if not environment:
        return None
    lock = _lock(environment)
    if lock is not None:
        return str(lock.resolve())
    name = environment_id(environment).removeprefix("b3:")[:16]
    path = (folder or process_folder()) / "environments" / f"{name}.txt"
    text = "\n".join(sorted(environment)) + "\n"
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return str(path.resolve())


def _lock(environment: tuple[str, ...]) -> Path | None:
    if len(environment) != 1 or not environment[0].endswith(_LOCK_ENDINGS):
        return None
    path = Path(environment[0])
    if not path.is_file():
        raise InvalidInput(
            f"the environment file '{path}' is not there",
            why=f"looked in {Path.cwd()}",
            fix='uv export -o train.txt, or environment=["pandas==3.1"]',
        )
    return path
