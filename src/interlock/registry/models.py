"""Register fitted models, and find, explain and hand out their versions."""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from interlock.core.clock import Clock, SystemClock
from interlock.core.errors import Corrupt, InvalidInput, NotFound, did_you_mean, missing_extra
from interlock.core.refs import Ref, check_name
from interlock.core.schema import Signature
from interlock.ports.artifact_store import ArtifactStore
from interlock.ports.journal import Edge
from interlock.ports.model_runtime import ModelRuntime, Predictor
from interlock.ports.model_store import ModelStore, ModelVersion, PackageFile
from interlock.registry.cards import write_card
from interlock.registry.compiling import TOLERANCE, Compiled, compile_model, largest_difference, one_row_us
from interlock.registry.packaging import MODEL_SKOPS, materialise, package_files, write_folder
from interlock.registry.probing import EXAMPLE_ROWS, Answers, answer, ask
from interlock.registry.signatures import LABEL, PREDICTION, example_table, input_columns, output_columns, plain_columns

if TYPE_CHECKING:
    import pyarrow as pa

_decode_example = msgspec.json.Decoder(dict[str, list[Any]]).decode


class Models:
    """The registry.

    Args:
        store: Where versions are kept.
        artifacts: Where their files are kept.
        cache: Folder for packages brought to disk.
        runtimes: The engines that serve; a model is registered as they will run it, never otherwise.
        clock: Tells when a version was registered.

    Example:
        version = models.register("delay", pipeline, example=frame.head(100), metrics={"auc": 0.71})
        models.package_folder(models.resolve("model:delay@champion"))
    """

    def __init__(
        self,
        store: ModelStore,
        artifacts: ArtifactStore,
        cache: Path,
        *,
        runtimes: Sequence[ModelRuntime],
        clock: Clock | None = None,
    ) -> None:
        self._store = store
        self._artifacts = artifacts
        self._cache = cache
        self._runtimes = {runtime.engine: runtime for runtime in runtimes}
        self._clock = clock or SystemClock()

    def register(
        self,
        name: str,
        model: Any,
        *,
        example: Any,
        run: str | None = None,
        inputs: Sequence[str] = (),
        metrics: Mapping[str, float] | None = None,
        tags: Mapping[str, str] | None = None,
        card_facts: Mapping[str, str] | None = None,
        trusted_types: Sequence[str] = (),
    ) -> ModelVersion:
        """Package a fitted scikit-learn estimator as the next version of a model.

        The package answers as the estimator does: it is written without pickle, loaded back and compared; then a
        compiled form is made and kept only if it agrees too.

        Args:
            name: Name of the model.
            model: The fitted estimator, alone or a Pipeline.
            example: Some rows as the model was fitted on; 100 or more make the checks sharper.
            run: Id or Ref of the run that trained it.
            inputs: Refs of what it was trained on.
            metrics: What it scored.
            tags: Short strings for people and filters.
            card_facts: Lines for its card, by name.
            trusted_types: Types beyond scikit-learn's own that the package may hold, as skops names them.

        Raises:
            InvalidInput: It is not a fitted estimator that predicts, or cannot be packaged without pickle.
            SchemaMismatch: The example lacks a column.
            MissingExtra: scikit-learn, skl2onnx or skops is not installed.
        """
        check_name(name, of="model")
        _require_sklearn()
        outputs = output_columns(model)
        table = example_table(example, model)
        columns = input_columns(table)
        plain = plain_columns(table, columns)
        signature = Signature(columns, outputs)
        skops, untrusted = _dump(model)
        settings: dict[str, Any] = {"trusted_types": sorted(trusted_types)} if trusted_types else {}
        predictor = self._packaged(skops, signature, settings, model=model, table=table, plain=plain)
        answers = ask(predictor, plain, signature)
        compiled, problem, answers = self._compiled(model, signature, answers)
        signature = _with_nullable(signature, answers)
        run_id = Ref.parse(run, kind="run").name if run else None
        created_at = self._clock.now()
        files = package_files(
            skops=skops,
            onnx=compiled.files if compiled else {},
            signature=signature,
            example=plain,
            created_at=created_at,
            run=run_id,
            untrusted=untrusted,
        )
        draft = ModelVersion(
            model=name,
            version=0,
            created_at=created_at,
            files=tuple(self._put(path, data) for path, data in sorted(files.items())),
            signature=signature,
            flavor="sklearn",
            engine="onnx" if compiled else "sklearn",
            run=run_id,
            metrics={key: float(value) for key, value in (metrics or {}).items()},
            tags=dict(tags or {}),
            facts={
                **settings,
                **_compared(answers, sklearn_us=one_row_us(predictor, answers, repeats=3)),
                **self._judged(files, signature, answers, compiled, problem),
            },
        )
        card = write_card(draft, estimator=_title(model), inputs=inputs, example=plain, facts=card_facts or {})
        draft = self._described(draft, card, plain)
        return self._store.add_version(draft, edges=[Edge(str(Ref.parse(ref)), "", "trained_on") for ref in inputs])

    def _compiled(self, model: Any, signature: Signature, answers: Answers) -> tuple[Compiled | None, str, Answers]:
        """Compile the model if that agrees with it; return also why not, and the answers that were compared."""
        runtime = self._runtimes["onnx"]
        compiled, problem = compile_model(model, signature=signature, answers=answers, runtime=runtime)
        if compiled is None and (without := answers.without_new_gaps(signature)) is not answers:
            # what a gap means where the example has none is the model's accident; a compiled form need not share it
            compiled, problem = compile_model(model, signature=signature, answers=without, runtime=runtime)
            answers = without if compiled else answers
        return compiled, problem, answers

    def _described(self, draft: ModelVersion, card: str, example: Mapping[str, list[Any]]) -> ModelVersion:
        """Store the card and the first rows of the example, and name them in the draft."""
        shown = {key: values[:EXAMPLE_ROWS] for key, values in example.items()}
        return msgspec.structs.replace(
            draft,
            card=self._artifacts.put(card.encode()).digest,
            example=self._artifacts.put(msgspec.json.encode(shown)).digest,
        )

    def resolve(self, ref: str) -> ModelVersion:
        """Return the version a Ref (or a bare model name) means: by number, by alias, else the newest.

        Raises:
            NotFound: There is no such model, version or alias; the nearest names are given.
        """
        parsed = Ref.parse(ref, kind="model")
        alias = parsed.version if parsed.number is None else None
        found = self._store.find(parsed.name, version=parsed.number, alias=alias)
        if found is not None:
            return found
        if self._store.find(parsed.name) is None:
            known = [version.model for version in self._store.models(limit=10_000)]
            raise NotFound(f"there is no model '{parsed.name}'", why=did_you_mean(parsed.name, known))
        if alias is not None:
            known = list(self._store.aliases(parsed.name))
            raise NotFound(f"model '{parsed.name}' has no alias '{alias}'", why=did_you_mean(alias, known))
        newest = self._store.get(parsed.name).version
        raise NotFound(f"model '{parsed.name}' has no version {parsed.number}", why=f"its versions are 1 to {newest}")

    def package_folder(self, version: ModelVersion) -> Path:
        """Return the version's `MLmodel` folder on disk, whole and verified; it is read-only by agreement."""
        return materialise(version.files, self._artifacts, self._cache)

    def card(self, version: ModelVersion) -> str:
        """Return the version's card in Markdown."""
        if version.card is None:
            raise NotFound(f"{version.ref} has no card", why="it was not registered through the registry")
        return self._artifacts.get(version.card).decode()

    def example(self, version: ModelVersion) -> dict[str, list[Any]]:
        """Return the version's example rows by column; missing values are None."""
        if version.example is None:
            raise NotFound(f"{version.ref} has no example", why="it was not registered through the registry")
        return _decode_example(self._artifacts.get(version.example))

    def _put(self, path: str, data: bytes) -> PackageFile:
        blob = self._artifacts.put(data)
        return PackageFile(path=path, digest=blob.digest, size_bytes=blob.size_bytes)

    def _packaged(
        self,
        skops: bytes,
        signature: Signature,
        settings: dict[str, Any],
        *,
        model: Any,
        table: pa.Table,
        plain: Mapping[str, list[Any]],
    ) -> Predictor:
        """Load the packaged estimator back and hold it against the one in memory; note the frame that it reads.

        Raises:
            Corrupt: They answer differently.
        """
        expected = _answers_in_memory(model, table.slice(0, EXAMPLE_ROWS))
        rows = list(zip(*plain.values(), strict=True))[:EXAMPLE_ROWS]
        with tempfile.TemporaryDirectory(prefix="interlock-register-") as folder:
            write_folder({MODEL_SKOPS: skops}, Path(folder))
            for frame in ("arrow", "pandas"):
                settings["frame"] = frame
                predictor = self._runtimes["sklearn"].load(Path(folder), signature=signature, settings=settings)
                try:
                    if largest_difference(expected, answer(predictor, rows)) <= TOLERANCE:
                        return predictor
                    problem = "its answers differ"
                except InvalidInput as error:
                    problem = error.why
        raise Corrupt(
            f"the packaged {type(model).__name__} does not answer as the one in memory",
            why=problem,
            fix="replace custom steps by scikit-learn's own",
        )

    def _judged(
        self,
        files: Mapping[str, bytes],
        signature: Signature,
        answers: Answers,
        compiled: Compiled | None,
        problem: str,
    ) -> dict[str, Any]:
        """Return the facts that say which engine serves, and why."""
        if compiled is None:
            return {"not_compiled": problem}
        with tempfile.TemporaryDirectory(prefix="interlock-register-") as folder:
            write_folder(files, Path(folder))
            predictor = self._runtimes["onnx"].load(Path(folder), signature=signature, settings=compiled.settings)
        took = one_row_us(predictor, answers, repeats=50)
        return {
            **compiled.settings,
            "precision": compiled.precision,
            "max_difference": compiled.max_difference,
            "onnx_us": took,
            "one_row_us": took,
        }


def _require_sklearn() -> None:
    for library in ("sklearn", "skops", "skl2onnx", "onnx"):
        if importlib.util.find_spec(library) is None:
            raise missing_extra(library, extra="sklearn", purpose="registering a model")


def _dump(model: Any) -> tuple[bytes, list[str]]:
    """Return the estimator in skops form, and the types in it that a reader must trust by name."""
    import zipfile

    import skops.io
    from skops.io.exceptions import UnsupportedTypeException

    try:
        data: bytes = skops.io.dumps(model, compression=zipfile.ZIP_DEFLATED)
    except (UnsupportedTypeException, TypeError) as error:
        raise InvalidInput(
            f"the {type(model).__name__} cannot be packaged without pickle",
            why=str(error).partition("\n")[0][:300],
            fix="replace lambdas and locally defined classes by named scikit-learn transformers",
        ) from error
    return data, sorted(skops.io.get_untrusted_types(data=data))


def _answers_in_memory(model: Any, table: pa.Table) -> dict[str, list[Any]]:
    """Return what the estimator says to rows in the form it was fitted on."""
    import numpy as np

    if hasattr(model, "feature_names_in_"):
        rows = table.to_pandas() if "pandas" in sys.modules else table
    else:
        rows = np.column_stack([column.to_numpy() for column in table.columns])
    if not hasattr(model, "classes_"):
        return {PREDICTION: np.asarray(model.predict(rows), float).ravel().tolist()}
    expected = {LABEL: model.predict(rows).tolist()}
    if hasattr(model, "predict_proba"):
        names = [column.name for column in output_columns(model) if column.name != LABEL]
        shares = model.predict_proba(rows)
        expected |= dict(zip(names, shares.T[-len(names) :].tolist(), strict=True))
    return expected


def _with_nullable(signature: Signature, answers: Answers) -> Signature:
    """Return the signature with a column nullable where the example lacks a value or the model bears it."""
    return Signature(
        tuple(
            msgspec.structs.replace(column, nullable=column.nullable or column.name in answers.nullable)
            for column in signature.inputs
        ),
        signature.outputs,
    )


def _compared(answers: Answers, *, sklearn_us: float) -> dict[str, Any]:
    return {
        "rows_compared": len(answers.rows),
        "rows_refused": answers.refused,
        "sklearn_us": sklearn_us,
        "one_row_us": sklearn_us,
    }


def _title(model: Any) -> str:
    if hasattr(model, "steps"):
        return " → ".join(type(step).__name__ for _, step in model.steps)
    return type(model).__name__
