"""Change any request: its JSON, its bytes, its headers, and how its body is compressed."""

from __future__ import annotations

import copy
import gzip
import json
import random
import zlib
from functools import lru_cache
from typing import Any

from scripts.serving_fuzz.cases import Wants
from scripts.serving_fuzz.seeds import Message

Changed = tuple[Message, Wants]
_VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        -1,
        1,
        2**31,
        2**63,
        -(2**63) - 1,
        2**64,
        1e308,
        -1e-308,
        0.5,
        "",
        "a",
        "\u0000",
        "é\ud800",
    ),
    *([], {}, [[]], [{}], {"a": {}}, "a" * 3_000, [None] * 40, "2020-01-01T00:00:00Z", "NaN", "1", "🙂", {"": None}),
)
_HEADERS: dict[str, tuple[str, ...]] = {
    "Content-Type": (
        *(
            "",
            "application/json; charset=latin-1",
            "text/plain",
            "application/x-npy",
            "multipart/form-data",
            ";;;",
            "a",
        ),
        *(
            "application/vnd.apache.parquet",
            "text/csv",
            "application/octet-stream",
            "application/cloudevents+json",
            "/",
        ),
    ),
    # no other formats: their answers have no ids, by which rows are counted
    "Accept": ("", "*/*", ";q=2", "a/b/c", "application/json;q=0", "," * 500, "\xff"),
    "Accept-Encoding": ("gzip", "deflate", "br", "gzip;q=0", "*", "identity;q=0", "\xff", "gzip, deflate, br, zstd"),
    "Inference-Header-Content-Length": ("0", "1", "-1", "99999999999999999999", "x", ""),
    "traceparent": ("00-" + "0" * 32 + "-" + "0" * 16 + "-00", "x", "ff-", "00-" + "g" * 32 + "-" + "1" * 16 + "-01"),
    "X-Request-Id": ("a" * 2_000, "\xe9", "{}", "%00"),
    "X-Interlock-Timeout-Ms": ("0", "-1", "x", "1e400", "nan", "99999999999", "0.001", "\xff"),
    "ce-id": ("1", "\xff"),
    "ce-specversion": ("1.0", "9"),
    "ce-type": ("a",),
    "ce-source": ("b", ""),
    "X-Amzn-SageMaker-Inference-Id": ("a" * 300, "\xe9", "x", ","),
    "X-Amzn-SageMaker-Target-Model": ("nobody", "../../etc", ""),
    "X-Amzn-SageMaker-Target-Variant": ("nobody", "1"),
    "X-Amzn-SageMaker-Custom-Attributes": ("a" * 1_100, "\xff"),
    "Authorization": ("Bearer x", "Basic ===", "AWS4-HMAC-SHA256 Credential=a", "", "Bearer " + "\xff" * 20),
    "X-Api-Key": ("x", "\xff", "il_" + "a" * 100),
    "Origin": ("http://127.0.0.1", "null", "http://evil.example", "\xff"),
    "Cookie": ("a=b", ";" * 200),
    "Range": ("bytes=0-1",),
    "If-None-Match": ("*",),
    "X-Forwarded-For": ("1.2.3.4", "\xff"),
    "Content-MD5": ("x",),
}
_MARKS = b'[]{}",:0\\e-+.\x00\xff\r\n\t'


def json_tree(dice: random.Random, message: Message) -> Changed:
    """Put other values, keys and copies into the JSON."""
    try:
        tree = json.loads(message.body)
    except ValueError:
        return some_bytes(dice, message)
    for _ in range(dice.choice((1, 1, 2, 4))):
        tree = _changed(dice, tree)
    body = json.dumps(tree, ensure_ascii=dice.random() < 0.5).encode("utf-8", "surrogatepass")
    return Message(message.method, message.target, body, message.headers), "any"


def _changed(dice: random.Random, tree: Any) -> Any:
    if not isinstance(tree, (dict, list)) or not tree or dice.random() < 0.1:
        return copy.deepcopy(dice.choice(_VALUES))
    key: Any = dice.choice(list(tree)) if isinstance(tree, dict) else dice.randrange(len(tree))
    roll = dice.random()
    if roll < 0.6:
        tree[key] = _changed(dice, tree[key])
    elif roll < 0.75:
        del tree[key]
    elif roll < 0.9 and isinstance(tree, dict):
        tree[dice.choice(("id", "parameters", "inputs", "instances", "", "\ud800", "a" * 300))] = copy.deepcopy(
            tree[key]
        )
    elif isinstance(tree, list):
        tree.extend([copy.deepcopy(tree[key])] * dice.choice((1, 3, 100)))
    return tree


def some_bytes(dice: random.Random, message: Message) -> Changed:
    """Flip, cut, copy and insert bytes of the body."""
    body = bytearray(message.body)
    for _ in range(dice.choice((1, 2, 8))):
        if not body:
            body = bytearray(dice.randbytes(8))
        at = dice.randrange(len(body))
        match dice.randrange(5):
            case 0:
                body[at] ^= 1 << dice.randrange(8)
            case 1:
                body[at:at] = bytes(dice.choices(_MARKS, k=dice.choice((1, 1, 4, 64))))
            case 2:
                del body[at : at + dice.choice((1, 4, 100))]
            case 3:
                body[at:at] = body[dice.randrange(len(body)) :][:200]
            case _:
                body[at:at] = dice.randbytes(dice.choice((1, 4, 300)))
    return Message(message.method, message.target, bytes(body), message.headers), "any"


def headers(dice: random.Random, message: Message) -> Changed:
    """Put headers that make no sense beside those there are, or in their place."""
    listed = list(message.headers)
    for name in dice.sample(list(_HEADERS), k=dice.choice((1, 1, 2, 5))):
        if name == "Content-Type":
            listed = [one for one in listed if one[0] != name]
        listed += [(name, dice.choice(_HEADERS[name]))] * dice.choice((1, 1, 1, 2))
    return Message(message.method, message.target, message.body, listed), "any"


def targets(dice: random.Random, message: Message) -> Changed:
    """Change the method and the target."""
    target = message.target
    match dice.randrange(6):
        case 0:
            target += dice.choice(
                ("/", "//", "/..", "%2f", "%00", "?a=b", "?" + "a&" * 200, "%", "%zz", ";a", "/infer")
            )
        case 1:
            target = target.replace("/", dice.choice(("//", "/./", "%2F")), 1) or "/"
        case 2:
            target = target.upper()
        case 3:
            target = "/" + "".join(dice.choices("abc/%2Fv12models:{}.~\xe9", k=dice.randint(1, 60)))
        case 4:
            target = target.replace(
                "delay", dice.choice(("..", "%2e%2e", "a" * 3_000, "%ff%fe", "%00", "{name}", "%F0%9F"))
            )
        case _:
            target += "?" + "&".join(f"a{at}=%{at:02x}" for at in range(dice.choice((1, 40))))
    method = dice.choice(
        (message.method,) * 4 + ("PUT", "PATCH", "DELETE", "GET", "HEAD", "OPTIONS", "TRACE", "PROPFIND")
    )
    return Message(method, target, message.body, message.headers), "any"


def compression(dice: random.Random, message: Message) -> Changed:
    """Compress the body well, badly, twice, or as a bomb."""
    body = message.body
    whole = gzip.compress(body, 1, mtime=0)
    found: tuple[bytes, str, Wants]
    match dice.randrange(10):
        case 0:
            found = (whole, "gzip", "any")
        case 1:
            found = (zlib.compress(body), "deflate", "any")
        case 2:
            found = (whole[: dice.randrange(len(whole))], "gzip", "refused")
        case 3:
            found = (body, dice.choice(("gzip", "deflate")), "refused")
        case 4:
            found = (whole, dice.choice(("br", "zstd", "gzip, gzip", "x", "gzip;q=1", "\xff", "compress")), "refused")
        case 5:
            found = (bomb(dice.choice((8, 64, 512))), dice.choice(("gzip", "deflate")), "refused")
        case 6:
            found = (gzip.compress(whole, 1, mtime=0), "gzip", "refused")
        case 7:
            broken = bytearray(whole)
            broken[dice.randrange(10, len(broken))] ^= 1 << dice.randrange(8)
            found = (bytes(broken), "gzip", "any")
        case 8:
            # a second member, and what comes after the end
            found = (whole + dice.choice((whole, dice.randbytes(20))), "gzip", "any")
        case _:
            raw = zlib.compressobj(wbits=-15)
            found = (raw.compress(body) + raw.flush(), "deflate", "any")
    made = Message(message.method, message.target, found[0], message.headers)
    return made.with_headers(("Content-Encoding", found[1])), found[2] if message.method == "POST" else "any"


@lru_cache(maxsize=4)
def bomb(megabytes: int) -> bytes:
    """Return so much of nothing, compressed a thousandfold."""
    maker = zlib.compressobj(9, wbits=31)
    part = bytes(1 << 20)
    return b"".join(maker.compress(part) for _ in range(megabytes)) + maker.flush()


MUTATIONS = (json_tree, some_bytes, headers, targets, compression)
