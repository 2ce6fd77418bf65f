"""Seal short secrets, so that who reads the database alone, or a copy of it, reads none of them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import threading
from collections.abc import Callable, Sequence

from blake3 import blake3

from interlock.core.errors import Corrupt

PASSPHRASES = ("INTERLOCK_PASSPHRASE", "MLFLOW_CRYPTO_KEK_PASSPHRASE")
"""The environment variables that name a passphrase; of those that are set the first counts."""

_MARK = "sealed:1:"
_NONCE_BYTES = 24
_TAG_BYTES = 32
_CIPHER_CONTEXT = "interlock 2026-11-21 sealed secrets: key stream"
_TAG_CONTEXT = "interlock 2026-11-21 sealed secrets: tag"
_SALT = b"interlock sealed secrets"


class Seal:
    """Seals texts with one key, and opens those that were sealed with any of several.

    A sealed text is bound to what it belongs to, so that one moved to another row cannot be opened there. What is kept
    is `sealed:1:` and, in base64, 24 random bytes, the text combined with a key stream, and a tag over all of it
    (encrypt, then authenticate). Key stream and tag are BLAKE3's keyed mode, each under a key of its own.

    Args:
        keys: Gives the keys, of 32 bytes each, when they are first needed: the first seals, all open.

    Example:
        >>> seal = Seal(lambda: [bytes(32)])
        >>> seal.open(seal.close("s3cret", of="webhook:1"), of="webhook:1")
        's3cret'
    """

    def __init__(self, keys: Callable[[], Sequence[bytes]]) -> None:
        self._ask = keys
        self._keys: Sequence[bytes] | None = None
        self._lock = threading.Lock()

    def close(self, text: str, *, of: str) -> str:
        """Return a text, sealed.

        Args:
            text: What to keep to oneself.
            of: What it belongs to; it opens for that only.
        """
        plain, nonce = text.encode(), os.urandom(_NONCE_BYTES)
        key = self._known_keys()[0]
        mixed = _mixed(plain, nonce, key)
        return _MARK + base64.b64encode(nonce + mixed + _tag(of, nonce, mixed, key)).decode()

    def open(self, sealed: str, *, of: str) -> str:
        """Return what was sealed.

        Raises:
            Corrupt: It was sealed elsewhere, for something else, or is damaged.
        """
        try:
            data = base64.b64decode(sealed.removeprefix(_MARK), validate=True) if is_sealed(sealed) else b""
        except binascii.Error:
            data = b""
        nonce, mixed, tag = data[:_NONCE_BYTES], data[_NONCE_BYTES:-_TAG_BYTES], data[-_TAG_BYTES:]
        for key in self._known_keys():
            if hmac.compare_digest(tag, _tag(of, nonce, mixed, key)):
                return _mixed(mixed, nonce, key).decode()
        raise Corrupt(
            f"the secret of {of} cannot be opened here",
            why="it was sealed with a key that this process does not have, or it was changed",
            fix=f"export {PASSPHRASES[0]}=… as it was set where the secret came in, or set the secret anew",
        )

    def _known_keys(self) -> Sequence[bytes]:
        with self._lock:
            if self._keys is None:
                self._keys = tuple(self._ask())
            return self._keys


def is_sealed(text: str) -> bool:
    """Say whether a text has the form of a sealed one."""
    return text.startswith(_MARK)


def key_of_passphrase(passphrase: str) -> bytes:
    """Return the key that every process derives from a passphrase.

    Cost: a tenth of a second and 32 MB, on purpose: who guesses passphrases pays it for each.
    """
    return hashlib.scrypt(passphrase.encode(), salt=_SALT, n=2**15, r=8, p=1, maxmem=2**26, dklen=32)


def _mixed(data: bytes, nonce: bytes, key: bytes) -> bytes:
    """Combine bytes with the key stream of a nonce; doing it twice gives them back."""
    stream = blake3(nonce, key=blake3(key, derive_key_context=_CIPHER_CONTEXT).digest()).digest(length=len(data))
    return (int.from_bytes(data, "big") ^ int.from_bytes(stream, "big")).to_bytes(len(data), "big")


def _tag(of: str, nonce: bytes, mixed: bytes, key: bytes) -> bytes:
    owner = of.encode()
    hasher = blake3(key=blake3(key, derive_key_context=_TAG_CONTEXT).digest())
    for part in (len(owner).to_bytes(8, "big"), owner, nonce, mixed):
        hasher.update(part)
    return hasher.digest()
