"""Bring a model behind an endpoint in one call: registered, judged, routed, tried out; or leave all as it was."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from interlock.core.errors import Conflict, InterlockError, InvalidInput, Refused, Unavailable
from interlock.core.refs import Ref
from interlock.loop.column_facts import column_facts, current_run_id, training_inputs
from interlock.loop.endpoints import Endpoint, Outcome
from interlock.loop.gates import SCORE, GatePolicy, judge
from interlock.loop.ground import Ground
from interlock.loop.rollouts import ALIAS
from interlock.loop.trials import Trial
from interlock.ports.deployment_store import Deployment, Role
from interlock.ports.deployment_store import Endpoint as Routing
from interlock.ports.model_store import ModelVersion, Verdict
from interlock.serving.naming import endpoint_name
from interlock.serving.rollout import begin, begin_canary, begin_shadow

if TYPE_CHECKING:
    import pyarrow as pa

_TRIES = 20


class Placing(msgspec.Struct, frozen=True):
    """Where a version goes behind its endpoint.

    Args:
        role: As what.
        share: The part of callers that a canary answers.
        reason: Why; kept for ever.
    """

    role: Role = "live"
    share: float = 0.1
    reason: str = ""


class Judging(msgspec.Struct, frozen=True):
    """How a version is judged before it is routed.

    Args:
        policy: The rules; None to ask no gate.
        held_back: Rows that neither version was trained on, with the label; or the Ref of a snapshot of them. By
            default those on which the version that answers now was judged.
        label: The column with what proved true; by default the only one that the model does not take.
    """

    policy: GatePolicy | None = GatePolicy()
    held_back: Any = None
    label: str | None = None


def deploy_as(
    ground: Ground,
    model: Any,
    *,
    name: str | None = None,
    example: Any = None,
    canary: bool = False,
    shadow: bool = False,
    share: float = 0.1,
    gate: bool | GatePolicy = True,
    held_back: Any = None,
    label: str | None = None,
    reason: str = "",
    keep: bool = True,
    **registration: Any,
) -> Endpoint:
    """Put a model behind an endpoint, as notebooks and commands say it; see `deploy`.

    Args:
        ground: The workspace.
        model: A fitted model, or the Ref of a registered one (`model:delay@champion`).
        name: Name of the endpoint, and of the model where it is new; by default that of the registered model.
        example: Rows as the model was fitted on; 100 or more make the checks sharper.
        canary: Whether it answers a share of the callers only, beside the live version.
        shadow: Whether it sees every request and answers none.
        share: The canary's share.
        gate: Whether it must pass the gate where there is one, or by which rules.
        held_back: Rows to judge on that neither version was trained on, with the label, or the Ref of a snapshot.
        label: The column of those rows with what proved true.
        reason: Why it is deployed; kept for ever.
        keep: Whether a server that is started for it outlives this process.
        registration: What else `registry.register` takes: `inputs`, `metrics`, `tags`, `run`, `trusted_types`.

    Raises:
        InvalidInput: The options contradict each other, or as `deploy`.
        Refused: As `deploy`.
    """
    if canary and shadow:
        raise InvalidInput("a version is a canary or a shadow, not both", why="a shadow answers nobody")
    policy = gate if isinstance(gate, GatePolicy) else GatePolicy() if gate else None
    return deploy(
        ground,
        model,
        name=name,
        example=example,
        placing=Placing("shadow" if shadow else "canary" if canary else "live", share, reason),
        judging=Judging(policy, held_back, label),
        keep=keep,
        **registration,
    )


def deploy(
    ground: Ground,
    model: Any,
    *,
    name: str | None = None,
    example: Any = None,
    inputs: Sequence[str] = (),
    placing: Placing = Placing(),  # noqa: B008 (frozen)
    judging: Judging = Judging(),  # noqa: B008 (frozen)
    keep: bool = True,
    **registration: Any,
) -> Endpoint:
    """Put a model behind an endpoint that answers over HTTP when this returns.

    The server starts while the model is packaged. A version that fails its gate, cannot be loaded, or answers
    otherwise than it was registered leaves the routing as it was.

    Args:
        ground: The workspace.
        model: A fitted model, or the Ref of a registered one (`model:delay@champion`).
        name: Name of the endpoint, and of the model where it is new; by default that of the registered model.
        example: Rows as the model was fitted on.
        inputs: Refs of what it was trained on.
        placing: Where it goes behind the endpoint.
        judging: How it is judged first.
        keep: Whether a server that is started for it outlives this process.
        registration: What else `registry.register` takes.

    Raises:
        InvalidInput: The model cannot be deployed, and why; nothing is left of it.
        Refused: The gate said no; the version stays registered, with its verdict.
        Corrupt: The endpoint answers otherwise than the model was registered.
        InterlockError: What the server said of the new version.
    """
    began = time.perf_counter()
    known = ground.registry.resolve(str(model)) if isinstance(model, (str, Ref)) else None
    known = model if isinstance(model, ModelVersion) else known
    if known is None and name is None:
        raise InvalidInput(
            "the endpoint has no name", why="a model in memory has none", fix="interlock.deploy(model, name='delay', …)"
        )
    place = endpoint_name(name or (known.model if known is not None else ""))
    with _starting(ground, keep=keep):
        version = known or _registered(ground, name or "", model, example, inputs, registration)
        verdict, notes = _judged(ground, place, version, judging)
        # what cannot be loaded and asked here is never routed
        trial = Trial.of(ground, version)
        routed, before = _routed(ground, place, version, placing)
    endpoint = Endpoint(ground, place)
    try:
        endpoint.reload()
        notes += trial.hold(endpoint, placing.role)
    except InterlockError as error:
        now = ground.stores.deployments.get(place)
        if now.revision == routed.revision:
            raise _rolled_back(ground, endpoint, version, routed, before, error) from error
        notes.append(f"another deployment routed the endpoint meanwhile: it is at revision {now.revision}")
    else:
        if placing.role == "live":
            _crown(ground, version, verdict, reason=routed.reason)
    here = next(one for one in routed.deployments if one.model == version.ref)
    endpoint.outcome = Outcome(
        endpoint=place,
        url=endpoint.url,
        model=version.ref,
        engine=version.engine,
        role=here.role,
        share=here.share,
        revision=routed.revision,
        verdict=verdict,
        notes=tuple(notes),
        seconds=round(time.perf_counter() - began, 3),
    )
    return endpoint


@contextmanager
def _starting(ground: Ground, *, keep: bool) -> Iterator[None]:
    """Have a server come up while a model is packaged; end it again where there is nothing to answer for."""
    is_new = ground.servers.find() is None
    ground.servers.start(keep=keep)
    try:
        yield
    except BaseException:
        if is_new and not ground.stores.deployments.endpoints(limit=1):
            ground.servers.stop()
        raise


def _registered(
    ground: Ground, name: str, model: Any, example: Any, inputs: Sequence[str], registration: Mapping[str, Any]
) -> ModelVersion:
    told = {"run": current_run_id(), **registration}
    run = Ref.parse(told["run"], kind="run").name if told["run"] else None
    sources = training_inputs(ground, run, inputs)
    return ground.registry.register(
        name, model, example=example, inputs=sources, column_facts=column_facts(ground, sources), **told
    )


def _judged(ground: Ground, place: str, version: ModelVersion, judging: Judging) -> tuple[Verdict | None, list[str]]:
    """Ask the gate, where there is one to ask; return its verdict, or why there is none.

    Raises:
        Refused: It said no.
    """
    rival = _answering(ground.stores.deployments.find(place))
    if judging.policy is None:
        return None, ["no gate was asked: so it was wished"]
    if rival is None:
        return None, ["no gate was asked: it is the first version behind the endpoint"]
    if rival == version.ref:
        return None, ["no gate was asked: the version is live already"]
    champion = ground.registry.resolve(rival)
    held_back, data = _held_back(ground, champion, judging.held_back)
    if held_back is None:
        return None, ["no gate was asked: there is no held-back data (held_back=…)"]
    lacking = [one.ref for one in (version, champion) if SCORE not in {column.name for column in one.signature.outputs}]
    if lacking:
        return None, [f"no gate was asked: {lacking[0]} gives no {SCORE}"]
    label = judging.label or _label(held_back, version)
    verdict = judge(
        ground, candidate=version, champion=champion, table=held_back, label=label, policy=judging.policy, data=data
    )
    if not verdict.passed:
        raise Refused(
            f"{version.ref} was not deployed: the gate refused it",
            why=verdict.reason,
            fix=f"interlock model verdicts {version.model}, or deploy with gate=False",
        )
    return verdict, [f"the gate passed it: {verdict.reason}"]


def _held_back(ground: Ground, champion: ModelVersion, given: Any) -> tuple[pa.Table | None, str | None]:
    """Return the rows to judge on, and the Ref of the snapshot that holds them."""
    if given is None:
        judged = ground.stores.models.verdicts(candidate=champion.ref, limit=20)
        given = next((verdict.data for verdict in judged if verdict.data), None)
    if given is None:
        return None, None
    if isinstance(given, (str, Ref)):
        return ground.data.read(str(given)), str(given)
    import narwhals.stable.v2 as nw

    return nw.from_native(given, eager_only=True).to_arrow(), None


def _label(table: pa.Table, version: ModelVersion) -> str:
    others = [name for name in table.column_names if name not in version.signature.input_names]
    if len(others) != 1:
        raise InvalidInput(
            "the held-back rows do not say which column is the label",
            why=f"{version.ref} does not take {', '.join(others) if others else 'no other column'}",
            fix="label='COLUMN'",
        )
    return str(others[0])


def _answering(routing: Routing | None) -> str | None:
    return next((one.model for one in routing.deployments if one.role == "live"), None) if routing else None


def _routed(ground: Ground, place: str, version: ModelVersion, placing: Placing) -> tuple[Routing, Routing | None]:
    """Put a version behind its endpoint; return the routing, and the one before.

    Two that deploy at once come one after the other.
    """
    store = ground.stores.deployments
    for _ in range(_TRIES):
        before = store.find(place)
        wanted = _wanted(before, version, placing)
        if before is not None and wanted == before.deployments:
            return before, before
        reason = placing.reason or f"{version.ref} was deployed"
        try:
            expect = before.revision if before is not None else 0
            return store.route(place, wanted, expect=expect, reason=reason), before
        except Conflict as conflict:
            problem = conflict
    raise problem


def _wanted(before: Routing | None, version: ModelVersion, placing: Placing) -> tuple[Deployment, ...]:
    ref = version.ref
    if before is None:
        if placing.role != "live":
            raise InvalidInput(
                f"{ref} cannot be a {placing.role}: nothing answers behind the endpoint yet",
                why=f"a {placing.role} stands beside a live version",
                fix="deploy it as live",
            )
        return begin(ref)
    now = before.deployments
    if any(one.model == ref and one.role == placing.role for one in now) and placing.role != "canary":
        return now
    if placing.role == "shadow":
        return begin_shadow(now, ref)
    if placing.role == "canary":
        without = tuple(one for one in now if one.role != "canary")
        live = next(one for one in without if one.role == "live")
        rest = tuple(Deployment(one.model, "live", 1.0) if one is live else one for one in without)
        return begin_canary(rest, ref, share=placing.share)
    return (*begin(ref), *(one for one in now if one.role == "shadow" and one.model != ref))


def _rolled_back(
    ground: Ground,
    endpoint: Endpoint,
    version: ModelVersion,
    routed: Routing,
    before: Routing | None,
    error: InterlockError,
) -> InterlockError:
    """Route an endpoint as it was before a version that failed; return what to say."""
    done = "nothing answered there before: deploy another version"
    if before is not None and before.revision != routed.revision:
        try:
            ground.stores.deployments.route(
                endpoint.name,
                before.deployments,
                expect=routed.revision,
                reason=f"rolled back: {version.ref} failed its smoke test: {error.what}",
            )
            endpoint.reload()
            done = f"endpoint '{endpoint.name}' answers as before"
        except InterlockError as problem:
            done = f"and the routing could not be set back: {problem.what}"
    why = "; ".join(part for part in (error.why, _last_words(ground, error), done) if part)
    return type(error)(f"{version.ref} was not deployed: {error.what}", why=why, fix=error.fix)


def _last_words(ground: Ground, error: InterlockError) -> str:
    """Return what a server that does not answer wrote last."""
    lines = [line for line in ground.servers.log(lines=20) if line.strip()] if isinstance(error, Unavailable) else []
    return f"its log ends with: {lines[-1].strip()[:300]}" if lines else ""


def _crown(ground: Ground, version: ModelVersion, verdict: Verdict | None, *, reason: str) -> None:
    """Make a version the champion of its model, if it is not."""
    store = ground.stores.models
    if store.aliases(version.model).get(ALIAS) != version.version:
        said = verdict.id if verdict is not None else None
        store.set_alias(version.model, ALIAS, version=version.version, reason=reason, verdict=said)
