"""Previews of step outputs: each form, whatever is in it, and nothing that runs."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from interlock.adapters.localfs.artifact_store import LocalArtifactStore
from interlock.pipelines.outputs import Part
from interlock.pipelines.storing import encode
from interlock.ports.artifact_store import ArtifactStore
from interlock.ports.stores import Stores
from interlock.server.output_previews import ROWS, preview_of
from interlock.server.pipeline_views import OutputPreview

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 30


@pytest.fixture(params=["memory", "files"])
def artifacts(request: pytest.FixtureRequest, stores: Stores, tmp_path: Path) -> ArtifactStore:
    return stores.artifacts if request.param == "memory" else LocalArtifactStore(tmp_path / "artifacts")


def shown(value: Any, artifacts: ArtifactStore) -> OutputPreview:
    stored = encode(value)
    return preview_of(stored.form, artifacts.put(stored.payload).digest, artifacts)


def test_a_table_shows_its_head(artifacts: ArtifactStore) -> None:
    # larger than what is packed with others, so that the store has a file of it
    table = pa.table({"n": range(100_000), "word": ["a" * 500, None] * 50_000})
    head = shown(table, artifacts)
    assert (head.kind, head.form, head.columns, head.total_rows) == ("table", "arrow", ("n", "word"), 100_000)
    assert len(head.rows) == ROWS
    assert head.rows[1] == (1, None)
    assert len(head.rows[0][1]) == 400
    assert "more columns" in shown(pa.table({f"c{at}": [1] for at in range(103)}), artifacts).why


def test_arrays_are_pictures_or_figures(artifacts: ArtifactStore) -> None:
    picture = shown(np.zeros((16, 20, 3), np.uint8), artifacts)
    assert (picture.kind, picture.text) == ("picture", "array uint8 16×20×3")
    assert picture.picture.startswith("data:image/png;base64,")
    figures = shown(np.arange(300_000.0).reshape(3, -1), artifacts)
    assert figures.kind == "text"
    assert figures.text.startswith("array float64 3×100000\n[ 0.  1.")
    assert figures.text.endswith("…")


def test_plain_values_are_text(artifacts: ArtifactStore) -> None:
    assert shown(0.25, artifacts).text == "0.25"
    assert shown("two\nlines", artifacts).text == "two\nlines"
    assert msgspec.json.decode(shown({"a": [1, None], "b": b"123"}, artifacts).text) == {"a": [1, None], "b": "3 bytes"}
    long = shown(list(range(5000)), artifacts)
    assert "4900 more" in long.text
    assert shown("x" * 9000, artifacts).why == "the beginning of it"


def test_bytes_are_a_picture_or_a_size(artifacts: ArtifactStore) -> None:
    assert shown(PNG, artifacts).picture.startswith("data:image/png;base64,")
    other = shown(b"<script>", artifacts)
    assert (other.kind, other.why) == ("hidden", "8 B of bytes")


def test_refs_in_values_are_found(artifacts: ArtifactStore) -> None:
    assert shown("model:delay@1", artifacts).refs == ("model:delay@1",)
    found = shown({"best": "model:delay@2", "of": ["model:delay@1", "note: none", "model:delay"]}, artifacts)
    assert found.refs == ("model:delay@2", "model:delay@1")


class Trap:
    """Unpickling it would raise."""

    def __reduce__(self) -> Any:
        return (int, ("unpickled",))


def test_a_pickle_is_not_read(artifacts: ArtifactStore) -> None:
    digest = artifacts.put(pickle.dumps(Trap())).digest
    assert preview_of("pickle", digest, artifacts).why == "pickled, not shown: reading a pickle runs code"


def test_fields_are_shown_by_name(artifacts: ArtifactStore) -> None:
    one, two = encode(1), encode("model:delay@1")
    parts = {
        name: Part(stored.form, (blob := artifacts.put(stored.payload)).digest, blob.size_bytes)
        for name, stored in {"one": one, "two": two}.items()
    }
    index = artifacts.put(msgspec.msgpack.encode({"code": "", "parts": parts}))
    found = preview_of("parts", index.digest, artifacts)
    assert (found.kind, found.refs) == ("fields", ("model:delay@1",))
    assert {name: part.text for name, part in found.parts.items()} == {"one": "1", "two": "model:delay@1"}
    assert preview_of("parts", index.digest, artifacts, within=True).kind == "hidden"


@pytest.mark.parametrize("form", ["arrow", "npy", "msgpack", "skops"])
def test_what_cannot_be_read_says_so(artifacts: ArtifactStore, form: str) -> None:
    found = preview_of(form, artifacts.put(b"\xc1nothing of the kind").digest, artifacts)
    assert found.kind == "hidden"
    assert ("stored as skops" if form == "skops" else "it cannot be read") in found.why


def test_what_is_gone_says_so(artifacts: ArtifactStore) -> None:
    assert preview_of("arrow", "b3:" + "0" * 64, artifacts).why == "it is no longer stored"


def test_too_much_without_a_file_is_not_read(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interlock.server.output_previews.IN_MEMORY_BYTES", 10)
    assert "the store has no file to look into" in shown("x" * 20, stores.artifacts).why
