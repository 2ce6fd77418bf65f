"""Opening, and what opening refuses."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from interlock.adapters.localfs.workspace_folder import MARKER
from interlock.core.errors import Corrupt, InvalidInput, NotFound, Unavailable
from interlock.workspace import Workspace, open_workspace


def test_a_folder_is_made_and_found_again(tmp_path: Path) -> None:
    with open_workspace(tmp_path / "new" / ".interlock") as workspace:
        workspace.stores.journal.append("run.started", "run:a")
    with open_workspace(tmp_path / "new" / ".interlock", create=False) as again:
        assert [event.kind for event in again.stores.journal.events()] == ["run.started"]


def test_the_folder_above_the_workspace_may_be_named(tmp_path: Path) -> None:
    open_workspace(tmp_path / ".interlock").close()
    with open_workspace(tmp_path) as workspace:
        assert workspace.uri == str(tmp_path / ".interlock")


def test_the_environment_names_the_workspace(tmp_path: Path) -> None:
    with open_workspace(environ={"INTERLOCK_URI": str(tmp_path / "w")}) as workspace:
        assert workspace.uri == str(tmp_path / "w")


def test_a_file_uri_is_a_folder(tmp_path: Path) -> None:
    with open_workspace(f"file://{tmp_path}/w") as workspace:
        assert workspace.folder == tmp_path / "w"


def test_a_missing_workspace_is_not_made_unless_asked(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as caught:
        open_workspace(tmp_path / "none", create=False)
    assert "interlock demo" in caught.value.fix
    assert not (tmp_path / "none").exists()


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InvalidInput, match="is not a workspace"):
        open_workspace(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_is_no_workspace(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InvalidInput, match="is a file"):
        open_workspace(tmp_path / "file")


@pytest.mark.parametrize("content", ["", "{", '{"format": "one"}', '{"other": 1}'])
def test_a_damaged_marker_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / MARKER).write_text(content)
    with pytest.raises(Corrupt, match="is damaged"):
        open_workspace(tmp_path)


def test_a_newer_layout_is_refused(tmp_path: Path) -> None:
    (tmp_path / MARKER).write_text('{"format": 2, "id": "x"}')
    with pytest.raises(InvalidInput) as caught:
        open_workspace(tmp_path)
    assert "upgrade" in caught.value.fix


def test_a_damaged_database_is_named(tmp_path: Path) -> None:
    open_workspace(tmp_path).close()
    for file in tmp_path.glob("metadata.db*"):
        file.unlink()
    (tmp_path / "metadata.db").write_bytes(os.urandom(8192))
    with pytest.raises(Corrupt):
        open_workspace(tmp_path)


def test_a_folder_that_cannot_be_made_is_named() -> None:
    with pytest.raises((Unavailable, InvalidInput)) as caught:
        open_workspace("/proc/interlock-cannot-be-here")
    assert caught.value.fix


def test_an_unknown_scheme_is_refused() -> None:
    with pytest.raises(InvalidInput, match="unknown scheme"):
        open_workspace("mysql://host/db")


def test_another_package_can_bring_the_stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an installed package does: a distribution on the path with the entry point in its metadata."""
    (tmp_path / "elsewhere.py").write_text(
        "from interlock.adapters.memory.stores import memory_stores\n"
        "def open_stores(uri, *, actor, clock):\n"
        "    stores = memory_stores(actor=actor, clock=clock)\n"
        "    stores.journal.append('run.started', 'run:a', payload={'uri': uri})\n"
        "    return stores\n"
    )
    metadata = tmp_path / "elsewhere-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: elsewhere\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[interlock.adapters]\nelsewhere = elsewhere:open_stores\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    environ = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    with open_workspace("elsewhere://there", actor="ada", environ=environ) as workspace:
        (event,) = workspace.stores.journal.events()
    assert (event.actor, event.payload) == ("ada", {"uri": "elsewhere://there"})
    with pytest.raises(InvalidInput) as caught:
        open_workspace("nowhere://there", environ=environ)
    assert "elsewhere" in caught.value.why


def test_a_server_that_does_not_answer_is_named(tmp_path: Path) -> None:
    environ = {"XDG_CACHE_HOME": str(tmp_path)}
    with open_workspace("http://127.0.0.1:9", environ=environ) as workspace, pytest.raises(Unavailable):
        workspace.stores.journal.last_seq()
    with pytest.raises(Unavailable):
        open_workspace("postgresql://127.0.0.1:9/db?connect_timeout=1", environ=environ)


def test_postgres_holds_a_whole_workspace(tmp_path: Path, postgres_uri: str) -> None:
    environ = {"XDG_CACHE_HOME": str(tmp_path)}
    with open_workspace(postgres_uri, environ=environ) as workspace:
        snapshot = workspace.data.commit("t", {"x": [1.0, 2.0]})
        assert workspace.data.read(snapshot.ref)["x"].to_pylist() == [1.0, 2.0]
        assert workspace.verify() == []


def test_the_secret_is_made_once_and_is_private(tmp_path: Path) -> None:
    with open_workspace(tmp_path) as workspace:
        secret = workspace.secret
    with open_workspace(tmp_path) as workspace:
        assert workspace.secret == secret
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600


def test_a_damaged_secret_is_named(tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    open_workspace(tmp_path / "w").close()
    (tmp_path / "w" / "secret").write_bytes(b"short")
    with open_workspace(tmp_path / "w") as workspace, pytest.raises(Corrupt):
        _ = workspace.secret


def test_a_memory_workspace_leaves_nothing(tmp_path: Path) -> None:
    workspace = open_workspace("memory:")
    folder = workspace.folder
    assert folder.is_dir()
    workspace.close()
    workspace.close()
    assert not folder.exists()


@pytest.fixture(params=["folder", "memory"])
def workspace(request: pytest.FixtureRequest, tmp_path: Path) -> Workspace:
    return open_workspace("memory:" if request.param == "memory" else tmp_path / "w")


def test_every_room_opens(workspace: Workspace) -> None:
    with workspace:
        for room in (
            "data",
            "labels",
            "features",
            "pipelines",
            "experiments",
            "tuning",
            "registry",
            "monitoring",
            "loop",
        ):
            assert getattr(workspace, room) is getattr(workspace, room)
        assert workspace.verify() == []
        assert repr(workspace) == f"Workspace('{workspace.uri}')"


def test_what_is_missing_is_found_by_verify(workspace: Workspace) -> None:
    with workspace:
        snapshot = workspace.data.commit("t", {"x": [1.0]})
        workspace.stores.artifacts.delete(snapshot.parts[0].digest)
        (damage,) = workspace.verify()
        assert damage.where == snapshot.ref


def test_many_processes_open_a_new_folder_at_once(tmp_path: Path) -> None:
    code = (
        "import sys; from interlock.workspace import open_workspace\n"
        "with open_workspace(sys.argv[1]) as w: w.stores.journal.append('x.y', 'run:a')"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "w")]
    children = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(6)]
    for child in children:
        _, said = child.communicate(timeout=60)
        assert child.returncode == 0, said.decode()
    with open_workspace(tmp_path / "w") as workspace:
        assert workspace.stores.journal.counts() == {"x.y": 6}


def test_a_folder_that_becomes_a_workspace_while_it_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tmp_path / "made"
    open_workspace(made).close()
    late = tmp_path / "late"
    late.mkdir()
    (late / "metadata.db").write_bytes(b"")
    looked = Path.exists

    def another_process_comes(path: Path, **options: bool) -> bool:
        (late / "workspace.json").write_bytes((made / "workspace.json").read_bytes())
        return looked(path, **options)

    monkeypatch.setattr(Path, "exists", another_process_comes)
    open_workspace(late).close()


def test_the_face_opens_and_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import interlock as il

    monkeypatch.setenv("INTERLOCK_URI", str(tmp_path / "w"))
    with il.run("first") as run:
        run.log_metrics({"auc": 0.7})
    with il.open() as workspace:
        assert workspace.stores.runs.get(run.id).metrics["auc"].last == 0.7
