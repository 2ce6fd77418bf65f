"""Arrays become files that other programs read back."""

from __future__ import annotations

import io
import struct
import wave
import zlib
from typing import Any

import numpy as np
import pytest

from interlock.core.errors import InvalidInput
from interlock.experiments.pictures import apng, as_array, ply, png, wav


def chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    found, at = [], 8
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", data, at + 8 + length) == (zlib.crc32(kind + body),)
        found.append((kind, body))
        at += 12 + length
    return found


def decoded(header: bytes, body: bytes) -> np.ndarray[Any, Any]:
    """Undo the filters that this encoder uses, as the specification says."""
    width, height, depth, colour = struct.unpack_from(">IIBB", header)
    channels = {0: 1, 4: 2, 2: 3, 6: 4}[colour]
    assert depth == 8
    rows = np.frombuffer(zlib.decompress(body), np.uint8).reshape(height, 1 + width * channels)
    assert set(rows[:, 0]) == {2}
    return np.cumsum(rows[:, 1:], axis=0, dtype=np.uint8).reshape(height, width, channels)


def picture_of(data: bytes) -> np.ndarray[Any, Any]:
    found = dict(chunks(data))
    return decoded(found[b"IHDR"], found[b"IDAT"])


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_picture_is_what_it_was(channels: int) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (7, 5, channels), dtype=np.uint8)
    assert (picture_of(png(picture)) == picture).all()
    assert [kind for kind, _ in chunks(png(picture))] == [b"IHDR", b"IDAT", b"IEND"]


def test_other_libraries_read_the_picture() -> None:
    image = pytest.importorskip("PIL.Image")
    picture = np.random.default_rng(1).integers(0, 256, (7, 5, 3), dtype=np.uint8)
    assert (np.asarray(image.open(io.BytesIO(png(picture)))) == picture).all()
    frames = np.random.default_rng(1).integers(0, 256, (4, 6, 6, 3), dtype=np.uint8)
    moving = image.open(io.BytesIO(apng(list(frames), per_second=5)))
    assert moving.n_frames == 4
    for at in range(4):
        moving.seek(at)
        assert (np.asarray(moving.convert("RGB")) == frames[at]).all()


def test_grey_channels_first_fractions_and_booleans() -> None:
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert (picture_of(png(grey))[:, :, 0] == grey).all()
    torch_like = np.zeros((3, 20, 30))
    torch_like[1] = 0.5
    assert picture_of(png(torch_like)).shape == (20, 30, 3)
    assert picture_of(png(torch_like))[0, 0].tolist() == [0, 128, 0]
    assert picture_of(png(np.array([[True, False]]))).ravel().tolist() == [255, 0]
    assert picture_of(png(np.array([[2.0, -1.0, np.nan]]))).ravel().tolist() == [255, 0, 0]
    assert picture_of(png(np.array([[300, -5]]))).ravel().tolist() == [255, 0]


@pytest.mark.parametrize("shape", [(3,), (0, 4), (2, 3, 4, 5), (9, 9, 9), (1 << 16, 1)])
def test_what_is_no_picture_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidInput, match="is no picture"):
        png(np.zeros(shape, np.uint8))


def test_a_video_has_its_frames_in_order() -> None:
    frames = [np.full((3, 4, 3), 10 * at, np.uint8) for at in range(5)]
    found = chunks(apng(frames, per_second=4))
    assert struct.unpack(">II", dict(found)[b"acTL"]) == (5, 0)
    header = found[0][1]
    bodies = [body if kind == b"IDAT" else body[4:] for kind, body in found if kind in (b"IDAT", b"fdAT")]
    assert [int(decoded(header, body)[0, 0, 0]) for body in bodies] == [0, 10, 20, 30, 40]
    numbers = [struct.unpack_from(">I", body)[0] for kind, body in found if kind in (b"fcTL", b"fdAT")]
    assert numbers == list(range(9))
    delays = {struct.unpack_from(">HH", body, 20) for kind, body in found if kind == b"fcTL"}
    assert delays == {(250, 1000)}


def test_a_video_needs_frames_of_one_size() -> None:
    for frames in ([], [np.zeros((2, 2)), np.zeros((3, 2))]):
        with pytest.raises(InvalidInput, match="frames of one size"):
            apng(frames, per_second=1)


def test_sound_is_what_it_was() -> None:
    tone = np.sin(np.arange(800) / 10)
    with wave.open(io.BytesIO(wav(tone, rate=8000))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth(), file.getnframes()) == (8000, 1, 2, 800)
        heard = np.frombuffer(file.readframes(800), "<i2") / 32767
    assert np.abs(heard - tone).max() < 1e-4
    for stereo in (np.zeros((800, 2)), np.zeros((2, 800)), np.zeros((800, 2), np.int16)):
        with wave.open(io.BytesIO(wav(stereo, rate=8000))) as file:
            assert (file.getnchannels(), file.getnframes()) == (2, 800)
    with pytest.raises(InvalidInput, match="is no sound"):
        wav(np.zeros((3, 3, 3)), rate=1)


def test_points_in_space_are_what_they_were() -> None:
    places = np.random.default_rng(1).normal(size=(10, 3))
    head, _, body = ply(places).partition(b"end_header\n")
    assert b"element vertex 10\n" in head
    assert np.allclose(np.frombuffer(body, "<f4").reshape(10, 3), places, atol=1e-6)
    coloured = np.hstack([places, np.full((10, 3), 300)])
    head, _, body = ply(coloured).partition(b"end_header\n")
    assert b"property uchar red\n" in head
    kinds = [("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("red", "u1"), ("green", "u1"), ("blue", "u1")]
    assert np.frombuffer(body, kinds)["red"].tolist() == [255] * 10
    assert b"property float value\n" in ply(np.zeros((2, 4)))
    with pytest.raises(InvalidInput, match="no points in space"):
        ply(np.zeros((10, 2)))


class Tensor:
    """What torch's tensors look like from outside."""

    shape = (2, 2)

    def detach(self) -> Tensor:
        return self

    def cpu(self) -> Tensor:
        return self

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray[Any, Any]:
        return np.ones((2, 2))


def test_arrays_of_other_libraries_are_arrays() -> None:
    array = as_array(Tensor())
    assert array is not None
    assert array.tolist() == [[1, 1], [1, 1]]
    assert as_array("text") is as_array([1, 2]) is as_array(None) is None
