"""Change requests of tensors so that they lie: about lengths, shapes, types and what belongs to what."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable
from typing import Any

from scripts.serving_fuzz.cases import Wants
from scripts.serving_fuzz.seeds import Infer, Message, Model, infer

Changed = tuple[Message, Wants]
_WRONG_SIZES: tuple[Any, ...] = (-1, -8, 2**31, 2**32, 2**63, 2**64, 10**30, "8", 8.5, None, True, [8], {}, "")
_WRONG_SHAPES: tuple[Any, ...] = (
    *([-1], [2**63], [2**64], [2**62, 4], [2**32, 2**32], [2**32 + 1, 2**32 - 1], [10**18], [10**30], [1] * 17),
    *([1] * 1_000, [1.5], ["1"], [None], [[1]], "1", None, {}, 1, True, [True], [-(2**63)], [0, 2**62], [2**62, 0]),
    *([-1, -1], [-2, -2], [65_535, 65_537], [2**31, 2]),
)
_TYPES = ("", "FP128", "fp32", "FP32", "FP64", "FP16", "BF16", "BOOL", "BYTES", "INT8", "INT64", "UINT64", "\u0000")


def _one(dice: random.Random, request: Infer) -> dict[str, Any]:
    tensor: dict[str, Any] = dice.choice(request.json["inputs"])
    return tensor


def sizes(dice: random.Random, model: Model) -> Changed:
    """A raw size that lies."""
    request = infer(dice, model, binary=True)
    tensor = _one(dice, request)
    true = tensor["parameters"]["binary_data_size"]
    wrong = dice.choice((*_WRONG_SIZES, true + 1, true - 1, true + 4, true * 2 + 1))
    if wrong is None:
        # then its bytes belong to nobody
        tensor["data"] = []
    tensor["parameters"]["binary_data_size"] = wrong
    return request.message(), "any" if wrong == true or true == 0 else "refused"


def shapes(dice: random.Random, model: Model) -> Changed:
    """A shape that lies."""
    request = infer(dice, model)
    tensor = _one(dice, request)
    wrong = dice.choice((*_WRONG_SHAPES, [*tensor["shape"], 2], [one + 1 for one in tensor["shape"]]))
    # another shape of the same size may be a true one: a matrix for columns of numbers
    fits = isinstance(wrong, list) and _product(wrong) == _product(tensor["shape"])
    tensor["shape"] = wrong
    return request.message(), "any" if fits else "refused"


def _product(shape: list[Any]) -> int:
    """Return how many elements a shape has; -1 where it is none."""
    product = 1
    for length in shape:
        if not isinstance(length, int) or length < 0:
            return -1
        product *= length
    return product


def truncations(dice: random.Random, model: Model) -> Changed:
    """Raw data that ends too early, or goes on."""
    request = infer(dice, model, binary=True)
    assert request.raw is not None
    whole = b"".join(request.raw)
    if dice.random() < 0.5 and whole:
        request.raw = [whole[: dice.randrange(len(whole))]]
    else:
        request.raw = [whole, dice.randbytes(dice.randint(1, 40))]
    return request.message(), "refused"


def strings(dice: random.Random, model: Model) -> Changed:
    """Strings whose lengths lie, or which are no text."""
    request = infer(dice, model, binary=True)
    assert request.raw is not None
    places = [at for at, one in enumerate(request.json["inputs"]) if one["datatype"] == "BYTES"]
    if not places:
        return truncations(dice, model)
    at = dice.choice(places)
    raw = request.raw[at]
    match dice.randrange(4):
        case 0:
            # no sum of lengths is as large as that
            raw = struct.pack("<I", dice.choice((2**32 - 1, 2**31, len(raw)))) + raw[4:]
            wants: Wants = "refused"
        case 1:
            raw = raw[: dice.randrange(len(raw))]
            wants = "refused"
        case 2:
            elements = raw.count(b"")  # any bytes that are no UTF-8, in one string of the same length
            raw = struct.pack("<I", 3) + b"\xff\xfe\xc0" if elements else raw
            wants = "any"
        case _:
            raw = dice.randbytes(dice.randint(0, 64))
            wants = "any"
    request.raw[at] = raw
    request.json["inputs"][at]["parameters"]["binary_data_size"] = len(raw)
    return request.message(), wants


def datatypes(dice: random.Random, model: Model) -> Changed:
    """A datatype that is another, or none."""
    request = infer(dice, model)
    tensor = _one(dice, request)
    tensor["datatype"] = dice.choice((*_TYPES, None, 32, ["FP32"], {}))
    return request.message(), "any"


def lengths(dice: random.Random, model: Model) -> Changed:
    """A length of the JSON part that lies."""
    request = infer(dice, model)
    body = request.message().body
    wrong = ("-1", "+1", "ten", "1e3", "0x10", " ", "9" * 30, str(2**64), str(len(body) + 1), "²", "10.5", "1,1", "1_0")
    if dice.random() < 0.2:
        return request.message(length=str(dice.randrange(1, len(body)))), "any"
    return request.message(length=dice.choice(wrong)), "refused"


def missing(dice: random.Random, model: Model) -> Changed:
    """Inputs that are missing, come twice or are unknown; fields that are missing."""
    request = infer(dice, model, binary=False)
    inputs = request.json["inputs"]
    tensor = _one(dice, request)
    match dice.randrange(5):
        case 0:
            inputs.append(dict(tensor))
            wants: Wants = "refused"
        case 1:
            inputs.remove(tensor)
            # what may be missing may be left out
            wants = "any"
        case 2:
            inputs.append({**tensor, "name": dice.choice(("other", "", "\u0000", "a" * 5_000, "é\ud800"))})
            wants = "any"
        case 3:
            del tensor[dice.choice(("name", "shape", "datatype", "data"))]
            wants = "refused"
        case _:
            request.json = dice.choice(({}, {"inputs": []}, {"inputs": None}, {"inputs": {}}, {"inputs": [[]]}))
            wants = "refused"
    return request.message(), wants


def numbers(dice: random.Random, model: Model) -> Changed:
    """Numbers that JSON has not, or that fit nowhere."""
    request = infer(dice, model, binary=False)
    tensor = _one(dice, request)
    tensor["data"][dice.randrange(len(tensor["data"]))] = "@"
    words = ("NaN", "Infinity", "-Infinity", "1e400", "-1e999", "9" * 400, "-0", "01", "1.", ".5", "0x1", "1e", "null")
    words += ("true", "[]", "{}", '"\\ud800"', '"\\u0000"', '"\x01"', "1" + "0" * 20, "18446744073709551616", "-1e-400")
    message = request.message()
    message.body = message.body.replace(b'"@"', dice.choice(words).encode(), 1)
    return message, "any"


def nesting(dice: random.Random, model: Model) -> Changed:
    """Data, parameters or anything else nested far too deeply."""
    request = infer(dice, model, binary=False)
    depth = dice.choice((65, 500, 1_500, 10_000, 100_000))
    opening, closing = dice.choice(((b"[", b"]"), (b'{"a":', b"}")))
    place = dice.choice(("data", "parameters", "shape", "name"))
    tensor = _one(dice, request)
    tensor[place] = "@"
    message = request.message()
    inner = b"1" if opening != b"[" else b""
    message.body = message.body.replace(b'"@"', opening * depth + inner + closing * depth, 1)
    return message, "any" if place == "parameters" else "refused"


def nested_data(dice: random.Random, model: Model) -> Changed:
    """Data nested otherwise than its shape."""
    request = infer(dice, model, binary=False)
    tensor = _one(dice, request)
    data = tensor["data"]
    tensor["data"] = dice.choice(
        ([data], [[one] for one in data], [data, data], [data[:1], data], [[data]], data[:-1], [])
    )
    return request.message(), "any"


def outputs(dice: random.Random, model: Model) -> Changed:
    """Wishes for outputs that make no sense."""
    request = infer(dice, model)
    names = [one["name"] for one in model.outputs]
    name = dice.choice([*names, "nothing", "", None, 3])
    parameters = dice.choice(
        (
            *({"binary_data": True}, {"binary_data": False}, {"binary_data": "yes"}, {"classification": 0}),
            *({"classification": 2**63}, {"classification": -1}, {"classification": "2"}, {"classification": 3}),
            *({"shared_memory_region": "r"}, {"binary_data_size": 8}, [], None, "x", {"classification": True}),
        )
    )
    request.json["outputs"] = [{"name": name, "parameters": parameters}] * dice.choice((1, 1, 2, 50))
    return request.message(), "any"


def parameters(dice: random.Random, model: Model) -> Changed:
    """Parameters that make no sense, and ids and times that cannot be."""
    request = infer(dice, model)
    rows = request.json["inputs"][0]["shape"][0] if request.json["inputs"] else 1
    wrong: tuple[dict[str, Any], ...] = (
        *({"prediction_ids": dice.choice(("a" * 300, "", "a,b,c,d,e", ["a"] * rows, [1], {}, None, ["\n"] * rows))},),
        *({"event_time": dice.choice(("0000-01-01", "9999-12-31T23:59:59Z", "x", 12, ["2020-01-01T00:00:00Z"] * 9))},),
        *({"event_time": dice.choice(("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "-1", 1e300))},),
        *({"context": dice.choice(("{", "[]", {"a": 1}, {"a": "b"}, [{}], "\u0000", [[]], {"": ""}))},),
        *({"timeout": dice.choice((-1, 0, "x", 2**70, 1e400, None, True))}, {"binary_data_output": "yes"}),
        *({"shared_memory_region": "r", "shared_memory_byte_size": 8}, {"trial": "yes"}, {"sequence_id": 2**70}),
    )
    chosen = dice.choice(wrong)
    if dice.random() < 0.2:
        _one(dice, request).setdefault("parameters", {}).update(chosen)
    else:
        request.json["parameters"] = dice.choice((chosen, chosen, chosen, [chosen], "x", 1))
    return request.message(), "any"


def raw_alone(dice: random.Random, model: Model) -> Changed:
    """Raw data without JSON."""
    request = infer(dice, model, binary=True)
    assert request.raw is not None
    body = b"".join(request.raw)
    if dice.random() < 0.6:
        body = dice.randbytes(dice.choice((0, 1, 3, 7, 64, 5_000)))
    message = request.message(length="0")
    message.body = body
    return message, "any"


def twice(dice: random.Random, model: Model) -> Changed:
    """Names in the JSON that come twice, with other values."""
    request = infer(dice, model, binary=False)
    message = request.message()
    other = json.dumps(infer(dice, model, binary=False).json["inputs"]).encode()
    message.body = message.body[:-1] + b', "inputs": ' + other + b"}"
    return message, "any"


MUTATIONS: tuple[Callable[[random.Random, Model], Changed], ...] = (
    *(sizes, shapes, truncations, strings, datatypes, lengths, missing, numbers, nesting, nested_data),
    *(outputs, parameters, raw_alone, twice),
)
