from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from interlock.adapters.localfs.disk import locked, sync_folder, try_lock, wait_for_lock, write_at, writing
from interlock.core.errors import StorageFull, TimedOut


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_named(code: int) -> None:
    with pytest.raises(StorageFull, match="x.pack") as caught, writing(Path("x.pack")):
        raise OSError(code, "no")
    assert os.strerror(code).lower() in caught.value.why


def test_other_errors_pass_unchanged() -> None:
    with pytest.raises(PermissionError), writing(Path("x")):
        raise PermissionError(errno.EACCES, "no")
    with pytest.raises(TimedOut), writing(Path("x")):
        raise TimedOut("late")


def test_write_at_writes_at_an_offset(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    file = os.open(path, os.O_RDWR)
    write_at(file, b"ab", 3)
    write_at(file, b"", 0)
    write_at(file, b"yz", 10)
    os.close(file)
    assert path.read_bytes() == b"012ab56789yz"


def test_sync_folder_needs_a_folder(tmp_path: Path) -> None:
    sync_folder(tmp_path)
    with pytest.raises(FileNotFoundError):
        sync_folder(tmp_path / "missing")


def test_a_lock_is_had_by_one_and_dies_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    script = (
        "import os, sys\n"
        "from interlock.adapters.localfs.disk import try_lock\n"
        "print(try_lock(os.open(sys.argv[1], os.O_RDONLY)), flush=True)\n"
        "sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"True\n"
        file = os.open(path, os.O_RDONLY)
        assert try_lock(file) is False
        child.kill()
        child.wait()
        wait_for_lock(file)
        assert try_lock(file) is True
        os.close(file)


def test_a_locked_folder_keeps_others_out(tmp_path: Path) -> None:
    order: list[str] = []

    def second() -> None:
        with locked(tmp_path):
            order.append("second")

    with locked(tmp_path):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.05)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
