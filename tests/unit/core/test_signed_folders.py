"""A folder is read as it was signed, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlock.core.errors import Corrupt, Refused
from interlock.core.signed_folders import INSIDE, PURPOSE, SIGNATURE_FILE, check_folder, sign_folder
from interlock.core.signing import Signer

SIGNER = Signer(lambda: [bytes(32)], {})
FILES = {"MLmodel": b"flavors", "data/model.pkl": b"code"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, data in FILES.items():
        path = tmp_path / INSIDE / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (tmp_path / SIGNATURE_FILE).write_bytes(sign_folder(FILES, SIGNER))
    return tmp_path


def test_a_whole_folder_is_taken(folder: Path) -> None:
    assert check_folder(folder, SIGNER) == folder / INSIDE


def test_a_changed_file_is_refused(folder: Path) -> None:
    (folder / INSIDE / "data/model.pkl").write_bytes(b"other code")
    with pytest.raises(Refused, match=r"data/model.pkl"):
        check_folder(folder, SIGNER)


def test_an_added_file_is_refused(folder: Path) -> None:
    (folder / INSIDE / "sitecustomize.py").write_bytes(b"")
    with pytest.raises(Refused, match="sitecustomize"):
        check_folder(folder, SIGNER)


def test_a_missing_file_is_refused(folder: Path) -> None:
    (folder / INSIDE / "MLmodel").unlink()
    with pytest.raises(Refused, match="MLmodel"):
        check_folder(folder, SIGNER)


def test_a_folder_without_a_signature_is_corrupt(folder: Path) -> None:
    (folder / SIGNATURE_FILE).unlink()
    with pytest.raises(Corrupt):
        check_folder(folder, SIGNER)
    (folder / SIGNATURE_FILE).write_bytes(SIGNER.sign(b"[]", of=PURPOSE))
    with pytest.raises(Corrupt):
        check_folder(folder, SIGNER)
