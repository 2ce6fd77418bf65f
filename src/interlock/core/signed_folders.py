"""Sign a folder of files as a whole: which files it has, and what is in each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from interlock.core.errors import Corrupt, Refused
from interlock.core.hashing import digest_of
from interlock.core.signing import Signer

SIGNATURE_FILE = "folder.signed"
INSIDE = "mlflow"
PURPOSE = "mlflow folder"

_decode = msgspec.json.Decoder(dict[str, str]).decode


def sign_folder(files: Mapping[str, bytes], signer: Signer) -> bytes:
    """Return the signature of files, given by path within their folder."""
    digests = {path: digest_of(data) for path, data in sorted(files.items())}
    return signer.sign(msgspec.json.encode(digests), of=PURPOSE)


def check_folder(folder: Path, signer: Signer) -> Path:
    """Return the part of a package that was signed as a folder, once every file in it is known to be as it was.

    Raises:
        Refused: This workspace did not sign it, or a file was changed, added or taken away since.
        Corrupt: There is no signature, or it cannot be read.
    """
    try:
        digests = _decode(signer.read((folder / SIGNATURE_FILE).read_bytes(), of=PURPOSE))
    except (OSError, msgspec.DecodeError) as error:
        raise Corrupt(f"cannot read {folder / SIGNATURE_FILE}", why=str(error)[:300], fix="interlock verify") from error
    inside = folder / INSIDE
    there = {path.relative_to(inside).as_posix() for path in inside.rglob("*") if path.is_file()}
    changed = sorted(there ^ digests.keys()) or sorted(
        path for path, digest in digests.items() if digest_of((inside / path).read_bytes()) != digest
    )
    if changed:
        raise Refused(
            f"the folder of the model is not as it was signed: {changed[0]}",
            why="a file was changed, added or taken away since it was registered",
            fix="register the folder again",
        )
    return inside
