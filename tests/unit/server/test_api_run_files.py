"""The files of a run, its media and the folders of experiments, over the API."""

from __future__ import annotations

from urllib.parse import quote

import msgspec
import pytest

from interlock.experiments.media import MediaItem
from interlock.ports.run_store import ArtifactEntry, Run, RunBatch, RunPage
from interlock.ports.stores import Stores
from interlock.server.api_runs import FILES
from interlock.server.views import ExperimentLevel, FileHead, MediaKey, MediaPage, RunDetail, RunFiles
from tests.unit.server.conftest import START, Get

PATHS = ("a.txt", "b.txt", "c.txt", "model/weights.bin", "model/data/x.csv", "media/image/k/000000001.png")


@pytest.fixture(autouse=True)
def run(stores: Stores) -> None:
    blob = stores.artifacts.put(b"name,age\nann,31\n")
    for number, name in enumerate(("vision/resnet", "vision/vit", "plain one")):
        stores.runs.create(Run(f"01{number}", name, "training", "", "running", START))
    kept = tuple(ArtifactEntry(path, blob.digest, blob.size_bytes) for path in PATHS)
    items = [MediaItem("image", "k", 1, 7, PATHS[-1], caption="one"), MediaItem("image", "val/worst", 0, 3, "a.txt")]
    listed = stores.artifacts.put(msgspec.json.encode({"version": 1, "items": items}))
    index = ArtifactEntry("media/index/1.json", listed.digest, listed.size_bytes)
    stores.runs.log("010", RunBatch(artifacts=(*kept, index)))


def test_files_are_listed_folder_by_folder(get: Get) -> None:
    root = get("/api/v1/runs/010/files?limit=2").json(RunFiles)
    assert [(one.path, one.files, one.size_bytes > 0) for one in root.folders] == [
        ("media", 2, True),
        ("model", 2, True),
    ]
    assert ([one.path for one in root.files], root.after) == (["a.txt", "b.txt"], "b.txt")
    rest = get("/api/v1/runs/010/files?limit=2&after=b.txt").json(RunFiles)
    assert ([one.path for one in rest.files], rest.after) == (["c.txt"], None)
    inner = get("/api/v1/runs/010/files?under=model/").json(RunFiles)
    assert (inner.under, [one.path for one in inner.files]) == ("model", ["model/weights.bin"])


def test_a_file_is_begun(get: Get) -> None:
    head = get("/api/v1/runs/010/head?path=model/data/x.csv&rows=5").json(FileHead)
    assert (head.kind, head.columns, head.rows) == ("table", ("name", "age"), (("ann", "31"),))
    assert get("/api/v1/runs/010/head?path=b.tx").problem.why.startswith("did you mean 'b.txt'")
    for query in ("path=a.txt&rows=0", "path=a.txt&start=-1", "path=a.txt&rows=1001", "rows=1"):
        assert get(f"/api/v1/runs/010/head?{query}").problem.code == "IL400"
    assert get("/api/v1/runs/nope/files").problem.code == "IL404"


def test_media_are_listed_by_key_and_read_by_step(get: Get) -> None:
    keys = get("/api/v1/runs/010/media").json(list[MediaKey])
    assert keys == [MediaKey("image", "k", (1.0,)), MediaKey("image", "val/worst", (0.0,))]
    page = get(f"/api/v1/runs/010/media/image/{quote('val/worst', safe='')}").json(MediaPage)
    assert (page.total, [file.path for file in page.entries[0].files]) == (1, ["a.txt"])
    assert get("/api/v1/runs/010/media/image/k?start=1").json(MediaPage).entries == ()
    assert get("/api/v1/runs/011/media").json() == []


def test_a_run_names_its_own_files_however_many_there_are(stores: Stores, get: Get) -> None:
    many = tuple(ArtifactEntry(f"a/{at:05d}", "b3:" + "0" * 64, 1) for at in range(FILES + 5))
    stores.runs.log("010", RunBatch(artifacts=(*many, ArtifactEntry("console.txt", "b3:" + "0" * 64, 1))))
    detail = get("/api/v1/runs/010").json(RunDetail)
    assert detail.artifacts[0].path == "console.txt"
    assert (len(detail.artifacts), detail.files.files, detail.has_media) == (FILES, FILES + 5 + 1 + 7, True)
    assert get("/api/v1/runs/011").json(RunDetail).has_media is False


def test_experiments_come_in_folders(get: Get) -> None:
    root = get("/api/v1/experiments/level").json(ExperimentLevel)
    assert [(one.path, one.experiments) for one in root.folders] == [("vision", 2)]
    assert [(one.experiment.name, one.runs, one.newest_at) for one in root.experiments] == [("plain one", 1, START)]
    inner = get("/api/v1/experiments/level?under=vision/").json(ExperimentLevel)
    assert [one.experiment.name for one in inner.experiments] == ["vision/resnet", "vision/vit"]
    assert get("/api/v1/experiments/level?match=VIT").json(ExperimentLevel).total == 1
    assert [one["name"] for one in get("/api/v1/experiments?after=plain%20one&limit=1").json()] == ["vision/resnet"]


def test_runs_are_found_in_a_folder(get: Get) -> None:
    found = get("/api/v1/runs/search?folder=vision/").json(RunPage)
    assert {one.experiment for one in found.runs} == {"vision/resnet", "vision/vit"}
    assert get("/api/v1/runs/search?folder=nope").json(RunPage).runs == ()


@pytest.mark.parametrize(("mode", "script"), [("still", "'sha256-"), ("moving", "'unsafe-inline'")])
def test_frames_have_no_origin_and_load_nothing(get: Get, mode: str, script: str) -> None:
    reply = get(f"/frames/{mode}")
    policy = dict(part.strip().partition(" ")[::2] for part in reply.headers["content-security-policy"].split(";"))
    assert policy["sandbox"] == "allow-scripts"
    assert policy["default-src"] == policy["form-action"] == policy["base-uri"] == "'none'"
    assert policy["script-src"].startswith(script)
    assert (policy["frame-ancestors"], "connect-src" in policy) == ("'self'", False)
    assert ("'unsafe-inline'" in policy["script-src"]) is (mode == "moving")
