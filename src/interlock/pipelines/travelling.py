"""Carry large values between steps by the content store: what travels to a worker and back is where they are.

An output of `LARGE_BYTES` or more is written to the store by the worker that made it, and read from there by the worker
that needs it, Arrow tables without a copy; the process that runs the pipeline sees its digest only. Smaller values
travel with the call. It works with stores that other processes can open; with others everything travels along.
"""

from __future__ import annotations

import functools
import inspect
import pickle
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from blake3 import blake3

from interlock.core.errors import Corrupt
from interlock.pipelines.code_keys import code_key
from interlock.pipelines.lazy import Lazy, substitute
from interlock.pipelines.nodes import Node, node_of
from interlock.pipelines.outputs import PARTS
from interlock.pipelines.performing import Performed, Setting, perform
from interlock.pipelines.steps import Step
from interlock.pipelines.storing import Kept, Stored, decode, seal, unseal
from interlock.ports.artifact_store import ArtifactStore, OpensElsewhere, SupportsLocalPath
from interlock.ports.call_rules import PROCESS
from interlock.ports.executor import StaleWorker

LARGE_BYTES = 1 << 20
"""From this size on a value is left in the store; smaller ones are cheaper to send along."""


class Carrier:
    """Takes values to the process where a step runs, and back.

    Args:
        artifacts: Where outputs are kept; None where they cannot be reached.
        secret: Signs pickled outputs.
        came_from: The process that sent it here; empty for the one that runs the pipeline.
    """

    def __init__(self, artifacts: ArtifactStore | None, secret: bytes, *, came_from: str = "") -> None:
        self._artifacts = artifacts
        self._secret = secret
        self._came_from = came_from

    def arguments(self, node: Node) -> inspect.BoundArguments:
        """Return the arguments of a step call, those that are large by where they are."""
        values = {name: substitute(value, self._reference) for name, value in node.bound.arguments.items()}
        return inspect.BoundArguments(node.bound.signature, values)

    def value(self, left: Left) -> Any:
        """Return a value that was left in the store."""
        if left.lazy is not None:
            return left.lazy.value
        assert self._artifacts is not None
        if left.form == "arrow" and isinstance(self._artifacts, SupportsLocalPath):
            path = self._artifacts.local_path(left.digest)
            if path is not None:
                import pyarrow as pa

                _verify(str(path), left.digest)
                with pa.memory_map(str(path)) as source:
                    return pa.ipc.open_stream(source).read_all()
        return decode(unseal(left.form, self._artifacts.get(left.digest), self._secret))

    def leave(self, performed: Performed) -> Performed:
        """Leave what is large of an output in the store."""
        if not self._came_from or self._artifacts is None:
            return performed
        parts = {name: self._left(part) for name, part in performed.parts.items()}
        return msgspec.structs.replace(performed, stored=self._left(performed.stored), parts=parts)

    def _left(self, stored: Stored) -> Stored:
        if len(stored.payload) < LARGE_BYTES or self._artifacts is None:
            return stored
        return Kept(stored.form, b"", self._artifacts.put(seal(stored, self._secret)))

    def compare(self, step: Step[..., Any], symbols: Mapping[str, str]) -> None:
        """Compare the code of a step here with what it is known by; what travels with the call is the same anyway.

        Raises:
            StaleWorker: It is other code.
        """
        if self._came_from in ("", PROCESS):
            return
        here = _symbols(step.__wrapped__)
        other = sorted(
            name
            for name in here.keys() | symbols.keys()
            if not name.startswith("__main__.") and here.get(name) != symbols.get(name)
        )
        if other:
            raise StaleWorker(
                f"step '{step.name}' has other code or constants in its worker than here: {', '.join(other[:3])}; "
                "its file was edited, or a constant was set, after it was imported: start anew, or run with on='inline'"
            )

    def _reference(self, lazy: Lazy) -> Any:
        node, artifacts = node_of(lazy), self._artifacts
        if node is None or node.record is None or artifacts is None or not isinstance(artifacts, OpensElsewhere):
            return lazy.value
        part = node.parts.get(lazy._field)
        if part is not None:
            form, digest, size_bytes = part.form, part.digest, part.size_bytes
        elif lazy._field or node.record.output_form == PARTS:
            return lazy.value
        else:
            form, digest = node.record.output_form, node.record.output
            size_bytes = node.size_bytes(artifacts)
        return Left(form, digest, lazy) if size_bytes >= LARGE_BYTES else lazy.value

    def __reduce__(self) -> tuple[Any, ...]:
        opener = pickle.dumps(self._artifacts.opener()) if isinstance(self._artifacts, OpensElsewhere) else b""
        return _arrived, (opener, self._secret if opener else b"", PROCESS)


class Left:
    """Stands for a value among a call's arguments that is in the store.

    Args:
        form: How it is written.
        digest: Where it is.
        lazy: The value itself, in the process that runs the pipeline.
    """

    def __init__(self, form: str, digest: str, lazy: Lazy | None = None) -> None:
        self.form = form
        self.digest = digest
        self.lazy = lazy

    def __reduce__(self) -> tuple[Any, ...]:
        return Left, (self.form, self.digest)


def perform_carried(
    carrier: Carrier,
    symbols: Mapping[str, str],
    step: Step[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    run_id: str,
    setting: Setting | None = None,
) -> Performed:
    """Perform a step call whose large values are in the store.

    Args:
        carrier: Brings the values.
        symbols: The code that the step is known by to the process that runs the pipeline.
        step: The step.
        args: Its arguments, as `Carrier.arguments` returns them.
        kwargs: Its arguments by name.
        run_id: The run of the step call.
        setting: What it is given besides.

    Raises:
        StaleWorker: This process has other code of the step than the one that runs the pipeline.
    """
    carrier.compare(step, symbols)
    args = [_restore(value, carrier) for value in args]
    kwargs = {name: _restore(value, carrier) for name, value in kwargs.items()}
    return carrier.leave(perform(step, args, kwargs, run_id, setting))


def _restore(value: Any, carrier: Carrier) -> Any:
    kind = type(value)
    if kind is Left:
        return carrier.value(value)
    if kind in (list, tuple):
        items = [_restore(item, carrier) for item in value]
        changed = any(new is not old for new, old in zip(items, value, strict=True))
        return kind(items) if changed else value
    if kind is dict:
        made = {key: _restore(item, carrier) for key, item in value.items()}
        return made if any(made[key] is not value[key] for key in value) else value
    return value


@functools.lru_cache(maxsize=256)
def _symbols(function: Callable[..., Any]) -> Mapping[str, str]:
    return code_key(function).symbols


@functools.cache
def _open(opener: bytes) -> ArtifactStore:
    opened: ArtifactStore = pickle.loads(opener)()
    return opened


def _arrived(opener: bytes, secret: bytes, came_from: str) -> Carrier:
    """Make the carrier of a process that steps are sent to."""
    return Carrier(_open(opener) if opener else None, secret, came_from=came_from)


@functools.lru_cache(maxsize=1024)
def _verify(path: str, digest: str) -> None:
    """Read a file once and see that it is what its name says.

    Raises:
        Corrupt: It is not.
    """
    hasher = blake3()
    hasher.update_mmap(path)
    if f"b3:{hasher.hexdigest()}" != digest:
        raise Corrupt(f"the stored output {digest} is damaged", why=f"{path} has other bytes", fix="interlock verify")
