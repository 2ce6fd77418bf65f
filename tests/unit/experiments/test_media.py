"""Media lie where their key and step say, and a list says what there is."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest

from interlock.core.errors import InvalidInput
from interlock.experiments import figures
from interlock.experiments.figures import drawn
from interlock.experiments.media import MediaItem, media_path
from interlock.experiments.tracking import Experiments
from interlock.ports.stores import Stores

PNG = b"\x89PNG\r\n\x1a\n"


def logged(stores: Stores, run_id: str) -> dict[str, bytes]:
    return {
        entry.path.removeprefix("media/"): stores.artifacts.get(entry.digest)
        for entry in stores.runs.artifacts(run_id)
        if not entry.path.startswith("environment/")
    }


def listed(files: dict[str, bytes]) -> list[MediaItem]:
    [index] = [data for path, data in files.items() if path.startswith("index/")]
    assert json.loads(index)["version"] == 1
    return msgspec.convert(json.loads(index)["items"], list[MediaItem])


@pytest.mark.parametrize(
    ("step", "name"),
    [
        (0, "000000000"),
        (12, "000000012"),
        (0.5, "000000000.5"),
        (2.125, "000000002.125"),
        (-3, "-000000003"),
        (1e9, "1000000000"),
    ],
)
def test_files_of_a_key_sort_by_step(step: float, name: str) -> None:
    assert media_path("image", "a/b", step, "png") == f"media/image/a/b/{name}.png"


def test_images_over_steps(experiments: Experiments, stores: Stores, tmp_path: Path) -> None:
    (tmp_path / "photo.JPG").write_bytes(b"\xff\xd8\xff photo")
    with experiments.run("delay") as run:
        run.log_image("worst", np.zeros((4, 4)), caption="the worst")
        run.log_image("worst", np.zeros((4, 4, 3), np.uint8))
        run.log_image("worst", tmp_path / "photo.JPG", step=10)
        run.log_image("worst", b"GIF89a", step=0.5)
        run.log_image("batch", [np.zeros((2, 2)), PNG])
    files = logged(stores, run.id)
    assert set(files) - {path for path in files if path.startswith("index/")} == {
        "image/worst/000000000.png",
        "image/worst/000000001.png",
        "image/worst/000000010.jpg",
        "image/worst/000000000.5.gif",
        "image/batch/000000000.000.png",
        "image/batch/000000000.001.png",
    }
    items = listed(files)
    assert [(item.key, item.step, item.caption) for item in items] == [
        ("worst", 0, "the worst"),
        ("worst", 1, ""),
        ("worst", 10, ""),
        ("worst", 0.5, ""),
        ("batch", 0, ""),
    ]
    assert items[-1].facts == {"count": 2}
    assert items[-1].others == ("media/image/batch/000000000.001.png",)
    assert {f"media/{path}" for path in files} >= {item.path for item in items}


def test_an_image_of_pil(experiments: Experiments, stores: Stores) -> None:
    image = pytest.importorskip("PIL.Image")
    with experiments.run("delay") as run:
        run.log_image("pil", image.new("RGB", (3, 2), "red"))
    read = image.open(io.BytesIO(logged(stores, run.id)["image/pil/000000000.png"]))
    assert (read.size, read.getpixel((0, 0))) == ((3, 2), (255, 0, 0))


def test_sound_and_moving_pictures(experiments: Experiments, stores: Stores) -> None:
    with experiments.run("delay") as run:
        run.log_audio("voice", np.zeros(16_000))
        run.log_audio("song", b"ID3 song")
        run.log_video("walk", np.zeros((3, 4, 4, 3), np.uint8), per_second=2)
        run.log_video("walk", [np.zeros((4, 4)), np.ones((4, 4))])
        run.log_video("film", b"\0\0\0\x20ftypisom")
    files = logged(stores, run.id)
    assert files["audio/voice/000000000.wav"][:4] == b"RIFF"
    assert files["audio/song/000000000.mp3"] == b"ID3 song"
    assert b"acTL" in files["video/walk/000000000.png"]
    assert "video/film/000000000.mp4" in files
    facts = [item.facts for item in listed(files)]
    assert facts == [
        {"rate": 16_000, "seconds": 1.0},
        {},
        {"frames": 3, "per_second": 2},
        {"frames": 2, "per_second": 10.0},
        {},
    ]


def test_tables_histograms_pages_and_points(experiments: Experiments, stores: Stores) -> None:
    with experiments.run("delay") as run:
        run.log_table("errors", {"text": ["a", "b"], "score": [0.1, 0.2]}, step=3)
        run.log_histogram("weights", np.arange(100.0), bins=10)
        run.log_histogram("empty", [])
        run.log_html("report", "<h1>é</h1>")
        run.log_points3d("cloud", [[0, 0, 0], [1, 1, 1]])
        run.log_dict({"a": np.float32(0.5), "b": np.arange(3), "p": Path("x/y")}, "facts.json")
    files = logged(stores, run.id)
    table = pq.read_table(io.BytesIO(files["table/errors/000000003.parquet"]))
    assert table.to_pydict() == {"text": ["a", "b"], "score": [0.1, 0.2]}
    assert json.loads(files["histogram/weights/000000000.json"])["counts"] == [10] * 10
    assert json.loads(files["histogram/empty/000000000.json"])["mean"] is None
    assert files["html/report/000000000.html"] == "<h1>é</h1>".encode()
    assert files["points3d/cloud/000000000.ply"].startswith(b"ply\n")
    assert json.loads(files["facts.json"]) == {"a": 0.5, "b": [0, 1, 2], "p": "x/y"}
    facts = {item.key: item.facts for item in listed(files)}
    assert facts["errors"] == {"rows": 2, "columns": ["text", "score"]}
    assert facts["cloud"] == {"points": 2}


def test_what_cannot_be_shown_is_refused_and_nothing_is_kept(experiments: Experiments, stores: Stores) -> None:
    with experiments.run("delay") as run:
        for refused in (
            lambda: run.log_image("../up", np.zeros((2, 2))),
            lambda: run.log_image("", np.zeros((2, 2))),
            lambda: run.log_image("a", "no such file.png"),
            lambda: run.log_image("a", object()),
            lambda: run.log_image("a", np.zeros((2, 2)), step=float("nan")),
            lambda: run.log_audio("a", 3),
            lambda: run.log_video("a", []),
            lambda: run.log_table("a", 3),
            lambda: run.log_figure("a", object()),
            lambda: run.log_dict({"a": object()}, "a.json"),
            lambda: run.log_dict({"a": 1}, "/a.json"),
        ):
            with pytest.raises(InvalidInput):
                refused()
    assert logged(stores, run.id) == {}


class Canvas:
    """What matplotlib's figures look like from outside."""

    def savefig(self, file: Any, **options: Any) -> None:
        file.write(PNG + options["format"].encode())


class Axes:
    """What their axes look like."""

    figure = Canvas()


class Plotly:
    """What plotly's figures look like."""

    def to_plotly_json(self) -> dict[str, Any]:
        return {}

    def to_json(self) -> str:
        return '{"data": []}'

    def to_html(self, **options: Any) -> str:
        return f"<script src=plotly.min.js>{options['include_plotlyjs']}"


def test_figures_are_drawn(experiments: Experiments, stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interlock.experiments.media.plotly_script", lambda: b"plotly")
    with experiments.run("delay") as run:
        run.log_figure("roc", Canvas())
        run.log_figure("roc", Axes())
        run.log_figure("live", Plotly())
    files = logged(stores, run.id)
    assert files["figure/roc/000000001.png"] == PNG + b"png"
    assert files["figure/live/plotly.min.js"] == b"plotly"
    [live] = [item for item in listed(files) if item.key == "live"]
    assert live.path == "media/figure/live/000000000.html"
    assert live.others == ("media/figure/live/000000000.plotly.json",)


def test_figures_of_the_real_libraries() -> None:
    matplotlib = pytest.importorskip("matplotlib.figure")
    figure = matplotlib.Figure()
    axes = figure.subplots()
    axes.plot([1, 2], [3, 4])
    assert drawn(figure)["png"].startswith(PNG)
    assert drawn(axes)["png"].startswith(PNG)
    plotly = pytest.importorskip("plotly.graph_objects")
    files = drawn(plotly.Figure(plotly.Scatter(y=[1, 2])))
    assert b'src="plotly.min.js"' in files["html"]
    assert json.loads(files["plotly.json"])["data"][0]["type"] == "scatter"
    assert len(figures.plotly_script()) > 100_000


def test_a_run_that_is_resumed_lists_its_media_beside_the_earlier_list(
    experiments: Experiments, stores: Stores
) -> None:
    with experiments.run("delay") as run:
        run.log_html("a", "1")
    with experiments.resume(run.id) as again:
        again.log_html("a", "2", step=1)
    indexes = [path for path in logged(stores, run.id) if path.startswith("index/")]
    assert len(indexes) == 2
