from __future__ import annotations

import os
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from interlock.adapters.localfs.artifact_store import PACKED_BELOW_BYTES, LocalArtifactStore
from interlock.core.errors import Corrupt, NotFound, StorageFull
from interlock.core.hashing import digest_of
from interlock.ports.artifact_store import Damage
from tests.forks import play

SMALL = random.Random(1).randbytes(3000)
LARGE = random.Random(2).randbytes(300_000)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "artifacts"


@pytest.fixture
def store(folder: Path) -> Iterator[LocalArtifactStore]:
    store = LocalArtifactStore(folder)
    yield store
    store.close()


def pack_of(folder: Path) -> Path:
    (pack,) = (folder / "packs").iterdir()
    return pack


def spoil(path: Path, change: Callable[[bytes], bytes]) -> None:
    data = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(change(data))


def flipped(position: int) -> Callable[[bytes], bytes]:
    return lambda data: data[:position] + bytes([data[position] ^ 4]) + data[position + 1 :]


def test_small_contents_share_a_pack_and_large_ones_have_a_file(store: LocalArtifactStore, folder: Path) -> None:
    below, at = bytes(PACKED_BELOW_BYTES - 1), bytes(PACKED_BELOW_BYTES)
    assert store.local_path(store.put(below).digest) is None
    whole = store.local_path(store.put(at).digest)
    assert whole is not None
    assert whole.read_bytes() == at
    assert pack_of(folder).stat().st_size < 200
    streamed = store.put_stream(iter([at, b"more"]))
    assert store.local_path(streamed.digest) == folder / "objects" / streamed.digest[3:5] / streamed.digest[3:]


def test_contents_outlive_the_process(folder: Path) -> None:
    first = LocalArtifactStore(folder)
    digests = [first.put(data).digest for data in (SMALL, LARGE)]
    first.close()
    second = LocalArtifactStore(folder)
    assert [second.get(digest) for digest in digests] == [SMALL, LARGE]
    assert second.check() == []
    second.close()


def test_the_index_is_rebuilt_from_the_contents(folder: Path) -> None:
    first = LocalArtifactStore(folder)
    blobs = sorted((first.put(data) for data in (SMALL, LARGE, b"", b"kept")), key=lambda blob: blob.digest)
    first.put(b"deleted" * 9)
    first.delete(digest_of(b"deleted" * 9))
    first.close()
    for lost in folder.glob("index.db*"):
        lost.unlink()
    second = LocalArtifactStore(folder)
    assert second.blobs() == blobs
    assert second.get(digest_of(SMALL)) == SMALL
    assert second.check() == []
    second.close()


def test_a_damaged_index_is_rebuilt_too(folder: Path) -> None:
    first = LocalArtifactStore(folder)
    first.put(SMALL)
    first.close()
    (folder / "index.db").write_bytes(b"\0" * 5000)
    second = LocalArtifactStore(folder)
    assert second.get(digest_of(SMALL)) == SMALL
    second.close()


def test_a_flipped_bit_in_a_pack_is_named(store: LocalArtifactStore, folder: Path) -> None:
    store.put(b"before" * 20)
    digest = store.put(SMALL).digest
    pack = pack_of(folder)
    spoil(pack, flipped(pack.stat().st_size - 100))
    (damage,) = store.check()
    assert damage.digest == digest
    assert damage.problem == "its bytes do not match the address"
    assert damage.where.startswith(f"packs/{pack.name} at ")
    for read in (store.get, lambda digest: list(store.stream(digest))):
        with pytest.raises(Corrupt, match=digest):
            read(digest)
    assert store.get(digest_of(b"before" * 20)) == b"before" * 20


def test_every_kind_of_damage_is_named_in_order_of_digest(store: LocalArtifactStore) -> None:
    digests = sorted(store.put(bytes([n]) + LARGE).digest for n in range(5))
    paths = [store.local_path(digest) for digest in digests]
    for path, change in zip(
        paths, [flipped(9), lambda data: data[:-1], lambda data: data + b"!", lambda data: b""], strict=False
    ):
        assert path is not None
        spoil(path, change)
    assert paths[4] is not None
    paths[4].unlink()
    assert store.check() == [
        Damage(digest, problem, f"objects/{digest[3:5]}/{digest[3:]}")
        for digest, problem in zip(
            digests,
            [
                "its bytes do not match the address",
                "its file has 300000 of 300001 bytes",
                "its file has 300002 of 300001 bytes",
                "its file has 0 of 300001 bytes",
                "its file is missing",
            ],
            strict=True,
        )
    ]


def test_a_truncated_and_a_missing_pack_are_named(store: LocalArtifactStore, folder: Path) -> None:
    digests = sorted(store.put(data).digest for data in (SMALL, SMALL[1:]))
    pack = pack_of(folder)
    os.truncate(pack, 3060)
    assert [damage.digest for damage in store.check()] == [digest_of(SMALL[1:])]
    pack.unlink()
    assert [(damage.digest, damage.problem) for damage in store.check()] == [
        (digest, "the pack is missing") for digest in digests
    ]


def test_check_adopts_an_unindexed_file_and_names_a_false_one(store: LocalArtifactStore, folder: Path) -> None:
    good, bad = digest_of(LARGE), digest_of(b"something else")
    for digest in (good, bad):
        path = folder / "objects" / digest[3:5] / digest[3:]
        path.parent.mkdir()
        path.write_bytes(LARGE)
    assert [(damage.digest, damage.problem) for damage in store.check()] == [
        (bad, "its bytes do not match the address")
    ]
    assert store.get(good) == LARGE
    assert store.find(bad) is None


def test_stray_temporary_files_are_removed_and_no_damage(store: LocalArtifactStore, folder: Path) -> None:
    stray = folder / "temp" / "stray"
    stray.write_bytes(b"half of it")
    os.utime(stray, (time.time() - 4000,) * 2)
    assert store.check() == []
    assert not stray.exists()


def test_what_is_deleted_leaves_no_bytes(store: LocalArtifactStore, folder: Path) -> None:
    whole = store.local_path(store.put(LARGE).digest)
    store.put(SMALL)
    store.delete(digest_of(SMALL))
    store.delete(digest_of(LARGE))
    assert SMALL[:20] not in pack_of(folder).read_bytes()
    assert whole is not None
    assert not whole.exists()
    assert store.check() == []


def test_reading_what_another_process_deletes_is_not_found(store: LocalArtifactStore, folder: Path) -> None:
    reading = store.stream(store.put(LARGE).digest)
    packed = store.stream(store.put(SMALL).digest)
    other = LocalArtifactStore(folder)
    other.delete(digest_of(LARGE))
    other.delete(digest_of(SMALL))
    other.close()
    for stream in (reading, packed):
        with pytest.raises(NotFound):
            list(stream)


@pytest.mark.parametrize("size", [3000, 300_000])
def test_a_full_disk_leaves_nothing_behind(store: LocalArtifactStore, folder: Path, size: int) -> None:
    kept = [store.put(random.Random(n).randbytes(size)).digest for n in range(2)]
    before = sorted((path, path.stat().st_size) for path in folder.rglob("*") if "index.db" not in path.name)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (max(size - 100, 7000), hard))
    try:
        with pytest.raises(StorageFull) as caught:
            for n in range(9, 99):
                store.put(random.Random(n).randbytes(size))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "free some space" in caught.value.fix
    listed = {blob.digest for blob in store.blobs()}
    assert set(kept) <= listed
    assert store.check() == []
    if listed == set(kept):
        after = sorted((path, path.stat().st_size) for path in folder.rglob("*") if "index.db" not in path.name)
        assert after == before
    assert store.get(store.put(SMALL).digest) == SMALL


FORKS = """
from pathlib import Path
from interlock.adapters.localfs.artifact_store import LocalArtifactStore
from interlock.core.hashing import digest_of
from tests.unit.adapters.localfs.test_artifact_store import LARGE, SMALL

def work():
    assert store.get(digest_of(SMALL)) == SMALL
    store.put(b"from the child")
    store.put(LARGE)

store = LocalArtifactStore(Path(sys.argv[1]))
store.put(SMALL)
in_child(work)
store.put(b"from the parent")
store.close()
"""


def test_a_forked_child_puts_into_a_pack_of_its_own(store: LocalArtifactStore, folder: Path) -> None:
    play(FORKS, folder)
    assert store.get(digest_of(b"from the parent")) == b"from the parent"
    assert store.get(digest_of(b"from the child")) == b"from the child"
    assert store.get(digest_of(LARGE)) == LARGE
    assert len(list((folder / "packs").iterdir())) == 2
    assert store.check() == []


PUTTING = """
import random, sys
from pathlib import Path
from interlock.adapters.localfs.artifact_store import LocalArtifactStore
store = LocalArtifactStore(Path(sys.argv[1]))
chance = random.Random(int(sys.argv[2]))
for _ in range(int(sys.argv[3])):
    content = random.Random(chance.randrange(60)).randbytes(chance.choice([40, 3000, 90_000, 200_000]))
    put = store.put(content) if chance.random() < 0.5 else store.put_stream(iter([content[:50], content[50:]]))
    print(put.digest, flush=True)
store.close()
"""


def putting(folder: Path, seed: int, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PUTTING, str(folder), str(seed), str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_killed_at_any_moment_it_keeps_what_it_acknowledged(folder: Path) -> None:
    acknowledged: set[str] = set()
    chance = random.Random()
    for attempt in range(8):
        with putting(folder, attempt, 100_000) as child:
            assert child.stdout is not None
            acknowledged.add(child.stdout.readline().strip())
            time.sleep(chance.uniform(0, 0.1))
            child.kill()
            # the last line may be torn by the kill, and was then not heard
            acknowledged |= {line.strip() for line in child.stdout if line.endswith("\n")}
        store = LocalArtifactStore(folder)
        assert store.check() == []
        assert acknowledged <= {blob.digest for blob in store.blobs()}
        for digest in acknowledged:
            assert digest_of(store.get(digest)) == digest
        store.close()
    assert len(acknowledged) > 20


def test_eight_processes_put_the_same_and_different_contents(folder: Path) -> None:
    children = [putting(folder, seed, 60) for seed in range(8)]
    acknowledged: set[str] = set()
    for child in children:
        out, _ = child.communicate(timeout=60)
        assert child.returncode == 0
        acknowledged |= set(out.split())
    store = LocalArtifactStore(folder)
    assert {blob.digest for blob in store.blobs()} == acknowledged
    assert store.check() == []
    assert len(list((folder / "packs").iterdir())) <= 8
    store.close()
