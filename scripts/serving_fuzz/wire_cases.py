"""Cases of HTTP itself: heads, lengths, chunks, pipelines, and clients that are slow, rude or gone."""

from __future__ import annotations

import random
from collections.abc import Callable

from scripts.serving_fuzz.cases import Case, Step, Wants, of_bytes
from scripts.serving_fuzz.seeds import Message, Model, infer


class Made:
    """What a case is made of.

    Args:
        steps: What is done.
        wants: What must come of it.
        least: How many replies there must be.
        most: How many there may be; as many by default.
        head_only: Whether they have no bodies.
    """

    def __init__(
        self, *steps: Step, wants: Wants = "any", least: int = 1, most: int | None = None, head_only: bool = False
    ) -> None:
        self.steps = list(steps)
        self.wants = wants
        self.least = least
        self.most = least if most is None else most
        self.head_only = head_only


def _good(dice: random.Random, model: Model) -> Message:
    return infer(dice, model).message()


def _send(data: bytes) -> Step:
    return Step("send", data)


def _chunked(dice: random.Random, message: Message, body: bytes) -> Message:
    return Message(message.method, message.target, body, [*message.headers, ("Transfer-Encoding", "chunked")])


def _chunks(dice: random.Random, data: bytes, *, odd: bool) -> bytes:
    """Return a body in chunks; odd ones with extensions, leading zeros, and trailers."""
    parts = []
    while data:
        size = dice.choice((1, 2, 7, 64, 4_096))
        part, data = data[:size], data[size:]
        line = f"{len(part):x}"
        if odd:
            line = dice.choice(
                (line, line.upper(), f"{len(part):06x}", f"{line};a=b", f'{line} ; a="\xe9"', f"{line};")
            )
        parts.append(line.encode("latin-1") + b"\r\n" + part + b"\r\n")
    trailers = dice.choice((b"", b"a: b\r\n", b"content-length: 3\r\n", b"x: " + b"y" * 500 + b"\r\n")) if odd else b""
    return b"".join(parts) + dice.choice((b"0", b"000") if odd else (b"0",)) + b"\r\n" + trailers + b"\r\n"


def in_pieces(dice: random.Random, model: Model) -> Made:
    """A request in order that arrives in pieces."""
    data = _good(dice, model).wire()
    steps = []
    while data:
        size = dice.choice((1, 3, 40, 400))
        steps += [_send(data[:size]), Step("pause", seconds=dice.choice((0, 0, 0.001, 0.02)))]
        data = data[size:]
        if len(steps) > 60:
            steps, data = [*steps, _send(data)], b""
    return Made(*steps, wants="ok")


def half_closed(dice: random.Random, model: Model) -> Made:
    """A client that says it sends no more, and still reads."""
    data = _good(dice, model).wire()
    if dice.random() < 0.6:
        return Made(_send(data), Step("end"), wants="ok")
    cut = dice.randrange(1, len(data))
    return Made(_send(data[:cut]), Step("end"), least=0, most=1, wants="any")


def gone(dice: random.Random, model: Model) -> Made:
    """A client that is gone, before or after it asked."""
    data = _good(dice, model).wire() * dice.choice((1, 1, 20))
    cut = dice.choice((0, len(data), dice.randrange(1, len(data))))
    pause = Step("pause", seconds=dice.choice((0, 0.001, 0.01)))
    return Made(_send(data[:cut]), pause, Step("reset"), least=0)


def pipelined(dice: random.Random, model: Model) -> Made:
    """Requests that are sent before the answers to those before."""
    count = dice.choice((2, 3, 10, 60))
    data = b"".join(_good(dice, model).wire() for _ in range(count))
    if dice.random() < 0.5:
        return Made(_send(data), wants="ok", least=count)
    garbage = dice.choice(
        (b"\x00" * 30, b"GET\r\n\r\n", dice.randbytes(40) + b"\r\n\r\n", b"{}\r\n\r\n", b"\r\n" * 20_000)
    )
    return Made(_send(data + garbage), Step("end"), least=count, most=count + 1)


def with_empty_lines(dice: random.Random, model: Model) -> Made:
    """Empty lines before a head."""
    return Made(_send(b"\r\n" * dice.choice((1, 2, 50)) + _good(dice, model).wire()), least=1, most=1)


def chunked(dice: random.Random, model: Model) -> Made:
    """A body in chunks, in order."""
    message = _good(dice, model)
    told = _chunked(dice, message, b"")
    body = _chunks(dice, message.body, odd=dice.random() < 0.5)
    head = told.head("X-A: b")
    cut = dice.randrange(len(body))
    return Made(_send(head), _send(body[:cut]), Step("pause", seconds=0.001), _send(body[cut:]), wants="ok")


def badly_chunked(dice: random.Random, model: Model) -> Made:
    """A body in chunks that are none."""
    message = _good(dice, model)
    body = dice.choice(
        (
            b"-1\r\n\r\n0\r\n\r\n",
            b"+5\r\nabcde\r\n0\r\n\r\n",
            b"0x5\r\nabcde\r\n0\r\n\r\n",
            b"5 \r\n5abcde\r\n0\r\n\r\n",
            b"5\nabcde\n0\n\n",
            b"5\r\nabcdefg\r\n0\r\n\r\n",
            b"3\r\nabcde\r\n0\r\n\r\n",
            b"ffffffffffffffff\r\n",
            b"7fffffff\r\n",
            b"fffffff\r\nabc",
            b"100000000\r\n",
            b"\r\n\r\n",
            b";a=b\r\n\r\n",
            b"5;" + b"a" * 5_000 + b"\r\n",
            b"g\r\n",
            b"1\r\na\r\n" * 3 + b"z\r\n",
            b"0\r\n" + b"a: b\r\n" * 2_000 + b"\r\n",
            b"1_0\r\n0123456789abcdef\r\n0\r\n\r\n",
            b"\x00\r\n",
        )
    )
    return Made(
        _send(_chunked(dice, message, b"").head("X-A: b") + body), Step("end"), wants="refused", least=0, most=1
    )


def smuggled(dice: random.Random, model: Model) -> Made:
    """A body whose end two readers could see in different places, with a request hidden in it."""
    hidden = b"GET /v2/health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    body = b"0\r\n\r\n" + hidden
    size = len(body)
    lengths = (
        (f"Content-Length: {size}", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked", f"Content-Length: {size}"),
        (f"Content-Length: {size}", "Content-Length: 0"),
        ("Content-Length: 0", f"Content-Length: {size}"),
        (f"Content-Length: {size}, 0",),
        (f"Content-Length: +{size}",),
        (f"Content-Length: -{size}",),
        (f"Content-Length: 0x{size:x}",),
        (f"Content-Length: {size}.0",),
        (f"Content-Length : {size}",),
        (f"Content-Length:\x0b{size}",),
        (f"Content-Length: {size}", "Transfer-Encoding: identity"),
        ("Transfer-Encoding: xchunked",),
        ("Transfer-Encoding: chunked, chunked",),
        ("Transfer-Encoding: chunked, identity",),
        ("Transfer-Encoding: identity, chunked",),
        ("Transfer-Encoding: gzip, chunked",),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
        ("Transfer-Encoding: identity", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding : chunked",),
        ("Transfer-Encoding:\x0bchunked",),
        ("Transfer-Encoding: \x00chunked",),
        ('Transfer-Encoding: "chunked"',),
        ("Transfer-Encoding: chunked;q=1",),
        ("Transfer-Encoding:\r\n chunked",),
        ("X: y\nTransfer-Encoding: chunked",),
        ("X: y\rTransfer-Encoding: chunked",),
        (" Transfer-Encoding: chunked", f"Content-Length: {size}"),
        (f"Content-Length: {'9' * 30}",),
        ("Content-Length: ",),
        (f"Content-Length: {size} {size}",),
        (f"Content-Length: {size}\x00",),
        ("Content-Length: ²",),
    )
    message = Message("POST", f"/v2/models/{model.name}/infer", body, [("Content-Type", "application/json")])
    return Made(_send(message.head(*dice.choice(lengths)) + body), Step("end"), wants="refused", least=1)


_HEADS: tuple[tuple[bytes, Wants], ...] = (
    (b"GET /v2 HTTP/1.1\r\n\r\n", "refused"),
    (b"GET /v2 HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: 127.0.0.1\r\n\r\n", "refused"),
    (b"GET /v2 HTTP/1.1\r\nHost: evil.example\r\n\r\n", "refused"),
    (b"GET /v2 HTTP/1.1\r\nHost: \r\n\r\n", "refused"),
    (b"GET /v2 HTTP/1.1\r\nHost: 127.0.0.1:99999999\r\n\r\n", "any"),
    (b"GET /v2 HTTP/1.1\r\nHost: [::1\r\n\r\n", "refused"),
    (b"GET /v2 HTTP/1.1\r\nHost: 127.0.0.1@evil\r\n\r\n", "refused"),
    (b"GET /v2 HTTP/1.1\r\nHost: \xff\xfe\r\n\r\n", "refused"),
    (b"GET http://127.0.0.1/v2 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "ok"),
    (b"GET HTTP://127.0.0.1/v2?a=b HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "ok"),
    (b"GET http://evil.example/v2 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "refused"),
    (b"GET http://127.0.0.1 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "any"),
    (b"GET ftp://127.0.0.1/v2 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "refused"),
    (b"GET file:///etc/passwd HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "refused"),
    (b"GET //127.0.0.1/v2 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "any"),
    (b"GET v2 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "refused"),
    (b"GET /v2#x HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "refused"),
    (b"GET /\xff\xfe HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "refused"),
    (b"GET /a b HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "refused"),
    (b"GET /\x00 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "refused"),
    (b"GET  /v2 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "any"),
    (b" GET /v2 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "refused"),
    (b"GET /v2  HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "any"),
    (b"get /v2 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "refused"),
    (b"G\xc9T /v2 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "refused"),
    (b"GET /v2 HTTP/1.2\r\nHost: 127.0.0.1\r\n\r\n", "any"),
    (b"GET /v2 HTTP/2.0\r\nHost: 127.0.0.1\r\n\r\n", "refused"),
    (b"GET /v2 HTTP/0.9\r\nHost: 127.0.0.1\r\n\r\n", "refused"),
    (b"GET /v2 HTTP/9.9\r\nHost: 127.0.0.1\r\n\r\n", "refused"),
    (b"GET /v2 HTTP/11.1\r\nHost: 127.0.0.1\r\n\r\n", "refused"),
    (b"GET /v2 http/1.1\r\nHost: 127.0.0.1\r\n\r\n", "refused"),
    (b"GET /v2 RTSP/1.0\r\nHost: 127.0.0.1\r\n\r\n", "refused"),
    (b"GET /v2\r\n\r\n", "refused"),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "refused"),
    (b"CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "refused"),
    (b"OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "any"),
    (b"TRACE /v2 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "refused"),
    (b"GET /v2 HTTP/1.1\r\nHost: 127.0.0.1\r\n folded\r\n\r\n", "refused"),
    (b"GET /v2 HTTP/1.1\r\nHost: 127.0.0.1\r\nA: b\r\n\tfolded\r\n\r\n", "refused"),
    (b"GET /v2 HTTP/1.1\r\nHost: 127.0.0.1\r\nNo colon\r\n\r\n", "refused"),
    (b"GET /v2 HTTP/1.1\r\nHost: 127.0.0.1\r\n: empty\r\n\r\n", "refused"),
    (b"GET /v2 HTTP/1.1\r\nHost: 127.0.0.1\r\nA : b\r\n\r\n", "refused"),
    (b"GET /v2 HTTP/1.1\r\nHost: 127.0.0.1\r\nA\x00: b\r\n\r\n", "refused"),
    (b"GET /v2 HTTP/1.1\r\nHost: 127.0.0.1\r\nA: \x00\r\n\r\n", "refused"),
    (b"GET /v2 HTTP/1.1\r\nHost: 127.0.0.1\r\nA(b): c\r\n\r\n", "refused"),
    (b"GET /v2 HTTP/1.1\nHost: 127.0.0.1\n\r\n\r\n", "refused"),
    (b"GET /v2 HTTP/1.1\r\nHost: 127.0.0.1\r\nA: b\rC: d\r\n\r\n", "refused"),
    (b"GET /v2 HTTP/1.1\r\nHost: 127.0.0.1\r\nA: " + b"b" * 20_000 + b"\r\n\r\n", "refused"),
    (b"GET /v2 HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"A: b\r\n" * 5_000 + b"\r\n", "refused"),
    (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "refused"),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 60 + b"\r\n\r\n", "refused"),
    (b"GET /v2 HTTP/1.1\r\nHost: 127.0.0.1\r\nExpect: the-impossible\r\nContent-Length: 2\r\n\r\n{}", "refused"),
    (b"GET /v2 HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", "any"),
    (b"GET /v2 HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n", "any"),
    (b"GET /v2 HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close, close, \xff\r\n\r\n", "any"),
    (b"GET /v2 HTTP/1.0\r\n\r\n", "refused"),
    (b"GET /v2 HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n", "ok"),
    (b"GET /v2 HTTP/1.0\r\nHost: 127.0.0.1\r\nConnection: keep-alive\r\n\r\n", "ok"),
    (
        b"POST /v2/repository/index HTTP/1.0\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "refused",
    ),
)


def heads(dice: random.Random, model: Model) -> Made:
    """A head that two readers could take for different things, or that is none."""
    data, wants = dice.choice(_HEADS)
    return Made(_send(data), Step("end"), wants=wants, least=1, most=2 if wants == "any" else 1)


def random_heads(dice: random.Random, model: Model) -> Made:
    """A request with flipped, cut or inserted bytes anywhere."""
    data = bytearray(_good(dice, model).wire())
    head = data.find(b"\r\n\r\n") + 4
    for _ in range(dice.choice((1, 1, 2, 6))):
        at = dice.randrange(head)
        match dice.randrange(3):
            case 0:
                data[at] = dice.randrange(256)
            case 1:
                data[at:at] = dice.choice(
                    (b"\r\n", b"\n", b"\r", b" ", b"\t", b"\x00", b":", b"\xff", b"\r\n\r\n", b"a" * 300)
                )
            case _:
                del data[at : at + dice.choice((1, 2, 10))]
    return Made(_send(bytes(data)), Step("end"), least=0, most=4)


def expecting(dice: random.Random, model: Model) -> Made:
    """A client that waits to be asked for its body, or does not."""
    message = _good(dice, model).with_headers(("Expect", dice.choice(("100-continue", "100-Continue"))))
    pause = Step("pause", seconds=dice.choice((0, 0.01)))
    return Made(_send(message.head()), pause, _send(message.body), wants="ok")


def oversized(dice: random.Random, model: Model) -> Made:
    """A body that is larger than allowed, or only says so."""
    message = Message("POST", f"/v2/models/{model.name}/infer", b"", [("Content-Type", "application/json")])
    size = dice.choice((6_291_457, 10**9, 2**31, 2**63, 2**64, 10**14))
    if dice.random() < 0.5:
        return Made(_send(message.head(f"Content-Length: {size}") + b"{" * 1_000), Step("end"), wants="refused")
    body = b"400000\r\n" + b" " * 0x400000 + b"\r\n"
    head = message.head("Transfer-Encoding: chunked")
    return Made(_send(head + body + body), Step("end"), wants="refused", least=1)


def unread(dice: random.Random, model: Model) -> Made:
    """A client that asks and asks and reads nothing."""
    data = Message("GET", "/metrics").wire() * 200 + _good(dice, model).wire() * 200
    return Made(_send(data[:60_000]), Step("pause", seconds=0.05), Step("reset"), least=0)


def heads_only(dice: random.Random, model: Model) -> Made:
    """A request for a head, whose reply has no body."""
    target = dice.choice(("/v2", f"/v2/models/{model.name}", "/metrics", "/v2/models/nobody", "/nothing", "/ping"))
    return Made(_send(Message("HEAD", target).wire() * 2), least=2, head_only=True)


WIRE: tuple[Callable[[random.Random, Model], Made], ...] = (
    *(
        in_pieces,
        half_closed,
        pipelined,
        with_empty_lines,
        chunked,
        badly_chunked,
        smuggled,
        heads,
        heads,
        random_heads,
    ),
    *(random_heads, expecting, oversized, heads_only),
)
"""Cases whose every answer is read."""
RUDE: tuple[Callable[[random.Random, Model], Made], ...] = (gone, unread)
"""Cases whose answers are not read."""


def wire_case(dice: random.Random, model: Model, make: Callable[[random.Random, Model], Made], seed: str) -> Case:
    """Return a case."""
    made = make(dice, model)
    return Case(
        kind="wire: " + make.__name__.replace("_", " "),
        seed=seed,
        steps=made.steps or of_bytes(b""),
        wants=made.wants,
        least=made.least,
        most=made.most,
        endpoint=model.name,
        head_only=made.head_only,
    )
