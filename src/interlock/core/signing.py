"""Sign bytes that run code when they are read, so that only what this workspace wrote is ever read."""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable, Mapping, Sequence

from blake3 import blake3

from interlock.core.errors import Corrupt, Refused

SWITCH = "INTERLOCK_PYTHON_MODELS"
"""The environment variable that keeps Python models from being loaded at all, where it is `0`, `off` or `no`."""

_MARK = b"interlock signed 1\n"
_CONTEXT = "interlock 2026-11-21 signed models"
_TAG_BYTES = 32
_LENGTH_BYTES = 8
_HEAD_BYTES = len(_MARK) + _LENGTH_BYTES + _TAG_BYTES


class Signer:
    """Signs with one key, and accepts what was signed with any of several.

    A signed text is a line that says so, the length of what follows, a tag (keyed BLAKE3, under a key of its own), and
    the payload. The tag binds the payload to what it is for, so that one file cannot stand for another.

    Args:
        keys: Gives the keys, of 32 bytes each, when they are needed: the first signs, all are accepted.
        environ: The environment, where that is not the process's.

    Example:
        >>> signer = Signer(lambda: [bytes(32)])
        >>> signer.read(signer.sign(b"code", of="model"), of="model")
        b'code'
    """

    def __init__(self, keys: Callable[[], Sequence[bytes]], environ: Mapping[str, str] | None = None) -> None:
        self._keys = keys
        self._environ = os.environ if environ is None else environ

    def sign(self, payload: bytes, *, of: str) -> bytes:
        """Return a payload with its signature before it.

        Args:
            payload: What to sign.
            of: What it is for; it is accepted for that only.

        Raises:
            Refused: There is no key to sign with.
        """
        keys = self._keys()
        if not keys:
            raise Refused(
                "there is no key to sign the model with",
                why="a model that brings Python code is loaded only where its signature fits",
                fix="register it through an open workspace: interlock.open().registry.register(...)",
            )
        length = len(payload).to_bytes(_LENGTH_BYTES, "big")
        return b"".join((_MARK, length, _tag(payload, of, keys[0]), payload))

    def read(self, data: bytes, *, of: str) -> bytes:
        """Return what was signed, once its signature is known to fit.

        Raises:
            Refused: It is not signed, not by this workspace, or Python models are switched off.
            Corrupt: It is cut short, or something else.
        """
        if self._environ.get(SWITCH, "").strip().lower() in ("0", "off", "no", "false"):
            raise Refused(
                "models that bring Python code are switched off here",
                why=f"{SWITCH} is '{self._environ[SWITCH]}'",
                fix=f"unset {SWITCH}, or serve the model where it is allowed",
            )
        if not data.startswith(_MARK):
            if data[:1] == b"\x80":
                raise Refused(
                    "the model brings Python code that nobody signed",
                    why="its file is a bare pickle, which runs any code when it is read",
                    fix="register the model again in this workspace, which signs it",
                )
            raise Corrupt("the model's file is not one that interlock wrote", why="it does not begin as a signed file")
        length = int.from_bytes(data[len(_MARK) : len(_MARK) + _LENGTH_BYTES], "big")
        payload = data[_HEAD_BYTES:]
        if len(data) < _HEAD_BYTES or len(payload) != length:
            raise Corrupt("the model's file is cut short", why=f"{length} bytes were signed, {len(payload)} are there")
        tag = data[len(_MARK) + _LENGTH_BYTES : _HEAD_BYTES]
        if not any(hmac.compare_digest(tag, _tag(payload, of, key)) for key in self._keys()):
            raise Refused(
                "the model's Python code is not signed by this workspace",
                why="its signature fits none of the keys here: it was changed, or another workspace signed it",
                fix="register it here again, or set the same INTERLOCK_PASSPHRASE in both places and register it again",
            )
        return payload


def unsigned() -> Signer:
    """Return a signer without a key: it signs nothing, and accepts nothing."""
    return Signer(lambda: ())


def _tag(payload: bytes, of: str, key: bytes) -> bytes:
    derived = blake3(key + of.encode(), derive_key_context=_CONTEXT).digest()
    return bytes(blake3(payload, key=derived).digest())
