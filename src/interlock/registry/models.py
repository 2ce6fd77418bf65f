"""Register fitted models, and find, explain and hand out their versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from interlock.core.clock import Clock, SystemClock
from interlock.core.errors import InvalidInput, NotFound, did_you_mean
from interlock.core.refs import Ref, check_name
from interlock.core.signing import Signer, unsigned
from interlock.ports.artifact_store import ArtifactStore
from interlock.ports.journal import Edge
from interlock.ports.model_runtime import ModelRuntime, Predictor
from interlock.ports.model_store import ModelStore, ModelVersion, PackageFile
from interlock.registry.cards import write_card
from interlock.registry.flavors.listed import kind_of
from interlock.registry.kinds import Options
from interlock.registry.packaging import materialise, package_files
from interlock.registry.probing import EXAMPLE_ROWS
from interlock.registry.verifying import verify

MOST_TENSORS = 8
"""How many rows of an example of tensors are kept."""

_decode_example = msgspec.json.Decoder(dict[str, list[Any]]).decode


class Models:
    """The registry.

    Args:
        store: Where versions are kept.
        artifacts: Where their files are kept.
        cache: Folder for packages brought to disk.
        runtimes: The engines that serve; a model is registered as they will run it, never otherwise.
        clock: Tells when a version was registered.
        signer: Signs models that bring Python code; without one none can be registered.

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
        signer: Signer | None = None,
    ) -> None:
        self._store = store
        self._artifacts = artifacts
        self._cache = cache
        self._runtimes = {runtime.engine: runtime for runtime in runtimes}
        self._clock = clock or SystemClock()
        self._signer = signer or unsigned()

    def register(
        self,
        name: str,
        model: Any,
        *,
        example: Any = None,
        run: str | None = None,
        inputs: Sequence[str] = (),
        metrics: Mapping[str, float] | None = None,
        tags: Mapping[str, str] | None = None,
        card_facts: Mapping[str, str] | None = None,
        trusted_types: Sequence[str] = (),
        column_facts: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> ModelVersion:
        """Package a fitted model as the next version.

        The package answers as the model does: it is written without pickle, loaded back and compared. Then quicker
        forms are made, and the quickest is kept for few rows and for many, if they agree with the model too.

        Args:
            name: Name of the model.
            model: The fitted model, of any kind in `registry/flavors/`.
            example: Some rows as the model was fitted on; 100 or more make the checks sharper. A model that knows
                itself what it takes needs none.
            run: Id or Ref of the run that trained it.
            inputs: Refs of what it was trained on.
            metrics: What it scored.
            tags: Short strings for people and filters.
            card_facts: Lines for its card, by name.
            trusted_types: Types beyond scikit-learn's own that the package may hold, as skops names them; `pickle` lets
                a folder of MLflow run the code that is in it.
            column_facts: What the data that it was trained on showed of its columns: range, values, gaps.

        Raises:
            InvalidInput: It is no fitted model that predicts, cannot be packaged without pickle, or answers NaN.
            SchemaMismatch: The example lacks a column.
            Corrupt: The package does not answer as the model in memory.
            MissingExtra: A library that its kind needs is not installed.
        """
        check_name(name, of="model")
        edges = [Edge(str(Ref.parse(ref)), "", "trained_on") for ref in inputs]
        run_id = Ref.parse(run, kind="run").name if run else None
        options = Options(
            name=name,
            trusted_types=tuple(trusted_types),
            signer=self._signer,
            resolve=self.resolve,
            load=self._load,
            example_of=self.example,
        )
        package = kind_of(model).package(model, example, options)
        edges += [Edge(member, "", "member_of") for member in package.members]
        verified = verify(package, self._runtimes)
        created_at = self._clock.now()
        files = package_files(
            files={path: data for form in verified.forms for path, data in form.files.items()},
            flavors={flavor: said for form in verified.forms for flavor, said in form.flavors.items()},
            libraries=[library for form in verified.forms for library in form.libraries],
            signature=verified.signature,
            example=package.example,
            created_at=created_at,
            run=run_id,
        )
        draft = ModelVersion(
            model=name,
            version=0,
            created_at=created_at,
            files=tuple(self._put(path, data) for path, data in sorted(files.items())),
            signature=verified.signature,
            flavor=package.flavor,
            engine=verified.engine,
            run=run_id,
            metrics={key: float(value) for key, value in (metrics or {}).items()},
            tags=dict(tags or {}),
            facts=verified.facts | ({"columns": column_facts} if column_facts else {}),
        )
        card = write_card(
            draft, estimator=package.title, inputs=inputs, example=package.example, facts=card_facts or {}
        )
        return self._store.add_version(self._described(draft, card, package.example), edges=edges)

    def _described(self, draft: ModelVersion, card: str, example: Mapping[str, Any]) -> ModelVersion:
        """Store the card and the first rows of the example, and name them in the draft."""
        most = MOST_TENSORS if draft.signature.is_tensor else EXAMPLE_ROWS
        shown = {key: values[:most] for key, values in example.items()}
        shown = {key: values.tolist() if hasattr(values, "tolist") else values for key, values in shown.items()}
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

    def _load(self, ref: str) -> Predictor:
        version = self.resolve(ref)
        runtime = self._runtimes.get(version.engine)
        if runtime is None:
            raise InvalidInput(
                f"{ref} needs the engine '{version.engine}'", why=did_you_mean(version.engine, self._runtimes)
            )
        return runtime.load(self.package_folder(version), signature=version.signature, settings=version.facts)

    def _put(self, path: str, data: bytes) -> PackageFile:
        blob = self._artifacts.put(data)
        return PackageFile(path=path, digest=blob.digest, size_bytes=blob.size_bytes)
