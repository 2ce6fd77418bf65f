"""What every file index must do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import strategies as st

from interlock.core.errors import InvalidInput
from interlock.core.hashing import digest_of
from interlock.ports.file_index import FileEntry
from interlock.ports.stores import Stores
from interlock.testing.contract import Contract
from interlock.testing.machine import Plays

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def a_file(path: str, content: bytes = b"x") -> FileEntry:
    """Return an entry for some content."""
    return FileEntry(path, digest_of(content), len(content), NOW)


class FileIndexContract(Contract):
    """Files by path."""

    def test_a_path_names_its_newest_content(self, stores: Stores) -> None:
        stores.files.put([a_file("m/1/MLmodel"), a_file("m/1/model.bin", b"one")])
        stores.files.put([a_file("m/1/model.bin", b"two!")])
        assert stores.files.find("m/1/model.bin") == a_file("m/1/model.bin", b"two!")
        assert stores.files.find("m/1") is None

    def test_a_prefix_is_a_file_or_a_folder(self, stores: Stores) -> None:
        stores.files.put([a_file(path) for path in ("a/b", "a/b/c", "a/bc", "a/b0", "a/b/d/e", "z")])
        assert [one.path for one in stores.files.files("a/b")] == ["a/b", "a/b/c", "a/b/d/e"]
        assert [one.path for one in stores.files.files()] == ["a/b", "a/b/c", "a/b/d/e", "a/b0", "a/bc", "z"]
        assert [one.path for one in stores.files.files("a", after="a/b/c", limit=2)] == ["a/b/d/e", "a/b0"]

    def test_deleting_a_folder_leaves_its_neighbours(self, stores: Stores) -> None:
        stores.files.put([a_file(path) for path in ("a/b/c", "a/bc", "a/b/d/e")])
        assert stores.files.delete("a/b") == 2
        assert stores.files.delete("a/b") == 0
        assert [one.path for one in stores.files.files()] == ["a/bc"]

    @pytest.mark.parametrize("path", ["", "/a", "a/", "a//b", "../a", "a/./b", "a\0b", "a" * 2001])
    def test_a_path_that_leads_elsewhere_is_refused_and_nothing_written(self, stores: Stores, path: str) -> None:
        with pytest.raises(InvalidInput):
            stores.files.put([a_file("good"), a_file(path)])
        with pytest.raises(InvalidInput):
            stores.files.find(path)
        assert stores.files.files() == []

    def test_times_come_back_in_utc(self, stores: Stores) -> None:
        stores.files.put([FileEntry("a", digest_of(b""), 0, NOW + timedelta(microseconds=7))])
        found = stores.files.find("a")
        assert found is not None
        assert found.time == NOW + timedelta(microseconds=7)


_paths = st.sampled_from(["a", "a/b", "a/bc", "a/b/c", "b", "a/", "..", "a b/ü"])

FILE_INDEX_PLAYS: Plays = {
    "put": st.fixed_dictionaries(
        {"entries": st.lists(st.builds(a_file, _paths, st.sampled_from([b"", b"1", b"22"])), max_size=3)}
    ),
    "find": st.fixed_dictionaries({"path": _paths}),
    "files": st.fixed_dictionaries(
        {}, optional={"prefix": _paths | st.just(""), "after": _paths, "limit": st.integers(-1, 3)}
    ),
    "delete": st.fixed_dictionaries({"prefix": _paths}),
}
