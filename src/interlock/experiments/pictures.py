"""Encode arrays as pictures, moving pictures and sound, without any imaging library."""

from __future__ import annotations

import io
import struct
import wave
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from interlock.core.errors import InvalidInput

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_COLOURS = {1: 0, 2: 4, 3: 2, 4: 6}
"""PNG's colour type by number of channels: grey, grey with alpha, RGB, RGB with alpha."""

_LARGEST_SIDE = 1 << 15


def as_array(value: Any) -> NDArray[Any] | None:
    """Return a NumPy, torch, TensorFlow or JAX array as NumPy's, or None if it is no array."""
    import numpy as np

    if isinstance(value, np.ndarray):
        return value
    if hasattr(value, "detach") and hasattr(value, "cpu"):
        value = value.detach().cpu()
    if hasattr(value, "__array__") and hasattr(value, "shape"):
        return np.asarray(value)
    return None


def pixels(array: NDArray[Any], *, of: str) -> NDArray[np.uint8]:
    """Return rows of pixels of 8 bits: height × width × channels.

    Shape: height × width, height × width × 1 to 4, or as torch has it 1 to 4 × height × width. Unit: whole numbers
    are 0 to 255; fractions are 0 to 1, and booleans are black and white.

    Raises:
        InvalidInput: It has another shape.
    """
    import numpy as np

    if array.ndim == 2:
        array = array[:, :, np.newaxis]
    elif array.ndim == 3 and array.shape[2] not in _COLOURS and array.shape[0] in _COLOURS:
        array = array.transpose(1, 2, 0)
    if array.ndim != 3 or array.shape[2] not in _COLOURS or 0 in array.shape or max(array.shape) > _LARGEST_SIDE:
        raise InvalidInput(
            f"an array of shape {array.shape} is no {of}",
            why="expected height × width, height × width × channels, or channels × height × width",
            fix="log_image(key, array[0])",
        )
    return _bytes_of(array)


def _bytes_of(array: NDArray[Any]) -> NDArray[np.uint8]:
    import numpy as np

    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    if array.dtype == np.bool_ or array.dtype.kind == "f":
        array = np.nan_to_num(array.astype(np.float64)) * 255.0
    return np.ascontiguousarray(np.clip(np.rint(array), 0, 255).astype(np.uint8))


def png(array: NDArray[Any]) -> bytes:
    """Encode a picture as PNG.

    Source: PNG specification, third edition; every row is filtered by the one before (filter 2, Up).
    """
    picture = pixels(array, of="picture")
    return b"".join((_SIGNATURE, _header(picture), _chunk(b"IDAT", _deflated(picture)), _chunk(b"IEND", b"")))


def apng(frames: Sequence[NDArray[Any]], *, per_second: float) -> bytes:
    """Encode a moving picture as APNG, which every browser plays.

    Source: PNG specification, third edition, chunks acTL, fcTL and fdAT.

    Raises:
        InvalidInput: There is no frame, or they differ in size.
    """
    pictures = [pixels(frame, of="frame of a video") for frame in frames]
    if not pictures or len({picture.shape for picture in pictures}) != 1:
        raise InvalidInput("a video needs frames of one size", why=f"it has {len(pictures)}")
    height, width, _ = pictures[0].shape
    delay_ms = min(65_535, max(1, round(1000 / per_second)))
    chunks = [_SIGNATURE, _header(pictures[0]), _chunk(b"acTL", struct.pack(">II", len(pictures), 0))]
    number = 0
    for at, picture in enumerate(pictures):
        control = struct.pack(">IIIIIHHBB", number, width, height, 0, 0, delay_ms, 1000, 0, 0)
        chunks.append(_chunk(b"fcTL", control))
        number += 1
        if at == 0:
            chunks.append(_chunk(b"IDAT", _deflated(picture)))
        else:
            chunks.append(_chunk(b"fdAT", struct.pack(">I", number) + _deflated(picture)))
            number += 1
    return b"".join((*chunks, _chunk(b"IEND", b"")))


_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def _header(picture: NDArray[np.uint8]) -> bytes:
    height, width, channels = picture.shape
    return _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, _COLOURS[channels], 0, 0, 0))


def _deflated(picture: NDArray[np.uint8]) -> bytes:
    import numpy as np

    height, width, channels = picture.shape
    rows = picture.reshape(height, width * channels)
    filtered = np.empty((height, 1 + width * channels), np.uint8)
    filtered[:, 0] = 2
    filtered[0, 1:] = rows[0]
    # unsigned bytes wrap around, as the filter wants it
    filtered[1:, 1:] = rows[1:] - rows[:-1]
    return zlib.compress(filtered.tobytes(), 6)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def wav(array: NDArray[Any], *, rate: int) -> bytes:
    """Encode sound as WAV of 16 bits.

    Shape: samples, samples × channels, or channels × samples. Unit: fractions are -1 to 1, whole numbers 16 bits.

    Raises:
        InvalidInput: It has another shape.
    """
    import numpy as np

    if array.ndim == 1:
        array = array[:, np.newaxis]
    elif array.ndim == 2 and array.shape[0] <= 8 < array.shape[1]:
        array = array.T
    if array.ndim != 2 or not 1 <= array.shape[1] <= 8:
        raise InvalidInput(
            f"an array of shape {array.shape} is no sound", why="expected samples, or samples × 1 to 8 channels"
        )
    if array.dtype.kind == "f":
        array = np.rint(np.clip(np.nan_to_num(array), -1.0, 1.0) * 32767)
    data = io.BytesIO()
    with wave.open(data, "wb") as file:
        file.setnchannels(array.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.ascontiguousarray(array.astype("<i2")).tobytes())
    return data.getvalue()


def ply(array: NDArray[Any]) -> bytes:
    """Encode points in space as PLY, which viewers of point clouds read.

    Shape: points × 3 (place), × 4 (and one value), or × 6 (and red, green, blue, 0 to 255). Source: Turk 1994, The PLY
    Polygon File Format.

    Raises:
        InvalidInput: It has another shape.
    """
    import numpy as np

    if array.ndim != 2 or array.shape[1] not in (3, 4, 6):
        raise InvalidInput(
            f"an array of shape {array.shape} holds no points in space",
            why="expected points × 3 (x, y, z), × 4 (and a value) or × 6 (and red, green, blue)",
        )
    columns = [("x", "<f4"), ("y", "<f4"), ("z", "<f4")]
    if array.shape[1] == 4:
        columns.append(("value", "<f4"))
    elif array.shape[1] == 6:
        columns += [("red", "u1"), ("green", "u1"), ("blue", "u1")]
    rows = np.empty(len(array), dtype=columns)
    for at, (name, kind) in enumerate(columns):
        rows[name] = np.clip(array[:, at], 0, 255) if kind == "u1" else array[:, at]
    words = {"<f4": "float", "u1": "uchar"}
    head = ["ply", "format binary_little_endian 1.0", f"element vertex {len(array)}"]
    head += [f"property {words[kind]} {name}" for name, kind in columns]
    return "\n".join([*head, "end_header", ""]).encode() + rows.tobytes()
