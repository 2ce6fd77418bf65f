"""Put a registered model behind an endpoint that answers over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interlock.cli.noun import Here
from interlock.cli.output import Answer, fields
from interlock.workspace import open_workspace

if TYPE_CHECKING:
    from interlock.loop.endpoints import Outcome


def deploy(
    model: str,
    /,
    *,
    name: str | None = None,
    canary: bool = False,
    shadow: bool = False,
    share: float = 0.1,
    gate: bool = True,
    held_back: str | None = None,
    label: str | None = None,
    reason: str = "",
    session: Here,
) -> Answer:
    """Put a registered model behind an endpoint, try it out over HTTP, and say where it answers.

    A gate that refuses it, a version that cannot be loaded or that answers otherwise than it was registered leaves the
    endpoint as it was. The server starts in the background, once for the workspace, and goes on after this command.

    Args:
        model: The version (`model:delay@champion`, `model:delay@7`, `delay`).
        name: Name of the endpoint; by default the model's.
        canary: Let it answer a share of the callers only, beside the live version.
        shadow: Let it see every request and answer none.
        share: The canary's share.
        gate: Ask the gate, where a version is live and there is held-back data.
        held_back: Snapshot to judge on (`dataset:flights@3`), which neither version was trained on.
        label: Its column with what proved true.
        reason: Why; kept for ever.
    """
    with open_workspace(session.uri, create=False) as workspace:
        endpoint = workspace.deploy(
            model,
            name=name,
            canary=canary,
            shadow=shadow,
            share=share,
            gate=gate,
            held_back=held_back,
            label=label,
            reason=reason,
        )
        curl = endpoint.curl()
    outcome = endpoint.outcome
    assert outcome is not None, "a deployment has an outcome"
    return Answer(outcome, (fields(_told(outcome)), curl))


def _told(outcome: Outcome) -> dict[str, object]:
    share = f", {outcome.share:.0%} of the callers" if outcome.share not in (0.0, 1.0) else ""
    told: dict[str, object] = {
        "endpoint": f"endpoint:{outcome.endpoint}",
        "address": outcome.url,
        "version": f"{outcome.model} ({outcome.role}{share})",
        "runs on": outcome.engine,
        "took": f"{outcome.seconds:.2f} s",
    }
    return told | {f"note {number}": note for number, note in enumerate(outcome.notes, 1)}
