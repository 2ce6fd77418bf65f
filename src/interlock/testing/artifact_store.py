"""What every artifact store must do."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import strategies as st

from interlock.core.errors import InvalidInput, NotFound
from interlock.core.hashing import digest_of
from interlock.ports.artifact_store import Blob, SupportsLocalPath
from interlock.ports.stores import Stores
from interlock.testing.contract import Contract
from interlock.testing.machine import Plays

SMALL = b"small enough to be packed with others"
LARGE = bytes(range(256)) * 12_000
UNKNOWN = digest_of(b"never stored")
MALFORMED = ("", "b3:", "abc", "b3:" + "g" * 64, "../../etc/passwd", digest_of(b"x") + "\n")


class ArtifactStoreContract(Contract):
    """Bytes under their own hash."""

    @pytest.mark.parametrize("data", [b"", b"\0", SMALL, LARGE, b"\n" * 131_071, b"\n" * 131_072], ids=len)
    def test_what_is_put_is_got(self, stores: Stores, data: bytes) -> None:
        blob = stores.artifacts.put(data)
        assert blob == Blob(digest_of(data), len(data))
        assert stores.artifacts.get(blob.digest) == data
        assert b"".join(stores.artifacts.stream(blob.digest)) == data
        assert stores.artifacts.find(blob.digest) == blob

    @pytest.mark.parametrize("sizes", [(), (0,), (3, 0, 5), (100_000, 100_000), (1 << 20, 1 << 20, 7)], ids=str)
    def test_a_stream_is_stored_as_one_content(self, stores: Stores, sizes: tuple[int, ...]) -> None:
        chunks = [bytes([65 + n]) * size for n, size in enumerate(sizes)]
        blob = stores.artifacts.put_stream(iter(chunks))
        assert blob == Blob(digest_of(b"".join(chunks)), sum(sizes))
        assert stores.artifacts.get(blob.digest) == b"".join(chunks)

    def test_a_large_content_is_streamed_in_chunks(self, stores: Stores) -> None:
        digest = stores.artifacts.put(LARGE).digest
        chunks = list(stores.artifacts.stream(digest))
        assert len(chunks) > 1
        assert b"".join(chunks) == LARGE

    def test_putting_twice_stores_once(self, stores: Stores) -> None:
        for data in (SMALL, LARGE):
            assert stores.artifacts.put(data) == stores.artifacts.put_stream(iter([data]))
        assert len(stores.artifacts.blobs()) == 2

    @pytest.mark.parametrize("size", [10, 1 << 20])
    def test_a_stream_that_breaks_leaves_nothing(self, stores: Stores, size: int) -> None:
        def broken() -> Iterator[bytes]:
            yield b"x" * size
            raise RuntimeError("the reader died")

        with pytest.raises(RuntimeError, match="the reader died"):
            stores.artifacts.put_stream(broken())
        assert stores.artifacts.blobs() == []
        assert stores.artifacts.check() == []

    def test_a_stream_may_read_and_write_the_store_it_goes_to(self, stores: Stores) -> None:
        first = stores.artifacts.put(LARGE)

        def copying() -> Iterator[bytes]:
            for chunk in stores.artifacts.stream(first.digest):
                stores.artifacts.put(chunk[:100])
                yield chunk
            yield b"and more"

        assert stores.artifacts.get(stores.artifacts.put_stream(copying()).digest) == LARGE + b"and more"

    def test_an_unknown_digest(self, stores: Stores) -> None:
        assert stores.artifacts.find(UNKNOWN) is None
        assert stores.artifacts.delete(UNKNOWN) is False
        with pytest.raises(NotFound):
            stores.artifacts.get(UNKNOWN)
        with pytest.raises(NotFound):
            list(stores.artifacts.stream(UNKNOWN))

    @pytest.mark.parametrize("text", MALFORMED)
    def test_a_malformed_digest_is_refused(self, stores: Stores, text: str) -> None:
        for operation in (stores.artifacts.get, stores.artifacts.find, stores.artifacts.delete):
            with pytest.raises(InvalidInput):
                operation(text)
        with pytest.raises(InvalidInput):
            list(stores.artifacts.stream(text))

    def test_contents_are_listed_by_digest_and_paged(self, stores: Stores) -> None:
        put = sorted((stores.artifacts.put(bytes([n]) * (n * 30_000)) for n in range(8)), key=lambda b: b.digest)
        assert stores.artifacts.blobs() == put
        assert stores.artifacts.blobs(limit=3) == put[:3]
        assert stores.artifacts.blobs(after=put[2].digest) == put[3:]

    def test_what_is_deleted_is_gone_and_may_come_back(self, stores: Stores) -> None:
        for data in (SMALL, LARGE):
            digest = stores.artifacts.put(data).digest
            assert stores.artifacts.delete(digest) is True
            assert stores.artifacts.delete(digest) is False
            assert stores.artifacts.find(digest) is None
            with pytest.raises(NotFound):
                stores.artifacts.get(digest)
            stores.artifacts.put(data)
            assert stores.artifacts.get(digest) == data
        assert stores.artifacts.check() == []

    def test_threads_put_the_same_and_different_contents(self, stores: Stores) -> None:
        contents = [bytes([n % 10]) * (1 + (n % 10) * 25_000) for n in range(40)]
        with ThreadPoolExecutor(8) as pool:
            blobs = list(pool.map(stores.artifacts.put, contents))
        assert [blob.digest for blob in blobs] == [digest_of(data) for data in contents]
        assert len(stores.artifacts.blobs()) == 10
        assert stores.artifacts.check() == []

    def test_many_are_put_and_found_at_once(self, stores: Stores) -> None:
        contents = [SMALL, b"", LARGE, SMALL, *(f"{n}".encode() for n in range(1200))]
        stores.artifacts.put(b"7")
        blobs = stores.artifacts.put_many(contents)
        assert [(blob.digest, blob.size_bytes) for blob in blobs] == [(digest_of(one), len(one)) for one in contents]
        assert [stores.artifacts.get(blob.digest) for blob in blobs[:20]] == contents[:20]
        found = stores.artifacts.find_many([blob.digest for blob in blobs] + [UNKNOWN])
        assert {blob.digest for blob in found} == {blob.digest for blob in blobs}
        assert len(found) == len(set(found)) == len(stores.artifacts.blobs(limit=5000))
        assert stores.artifacts.put_many([]) == stores.artifacts.find_many([]) == []
        assert stores.artifacts.put_many([b"7"]) == [stores.artifacts.find(digest_of(b"7"))]
        with pytest.raises(InvalidInput):
            stores.artifacts.find_many(["b3:0"])
        assert stores.artifacts.check() == []

    def test_a_healthy_store_has_no_damage(self, stores: Stores) -> None:
        assert stores.artifacts.check() == []
        stores.artifacts.put(SMALL)
        stores.artifacts.put(LARGE)
        assert stores.artifacts.check() == []

    def test_a_local_path_holds_the_content(self, stores: Stores) -> None:
        if not isinstance(stores.artifacts, SupportsLocalPath):
            pytest.skip("this backend has no local files")
        packed, whole = stores.artifacts.put(SMALL).digest, stores.artifacts.put(LARGE).digest
        path = stores.artifacts.local_path(whole)
        assert path is not None
        assert path.read_bytes() == LARGE
        assert path.stat().st_mode & 0o222 == 0
        assert stores.artifacts.local_path(packed) in (None, path)
        with pytest.raises(NotFound):
            stores.artifacts.local_path(UNKNOWN)


_contents = st.sampled_from([b"", b"a", b"b" * 1000, b"c" * 140_000])
_digests = st.one_of(_contents.map(digest_of), st.just(UNKNOWN), st.just("b3:0"))

ARTIFACT_STORE_PLAYS: Plays = {
    "put": st.fixed_dictionaries({"data": _contents}),
    "put_many": st.fixed_dictionaries({"contents": st.lists(_contents, max_size=3)}),
    "get": st.fixed_dictionaries({"digest": _digests}),
    "find": st.fixed_dictionaries({"digest": _digests}),
    "delete": st.fixed_dictionaries({"digest": _digests}),
    "blobs": st.fixed_dictionaries({}, optional={"after": _digests, "limit": st.integers(1, 3)}),
    "check": st.just({}),
}
