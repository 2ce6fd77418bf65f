"""A bare ASGI application around an engine: no signature, no log, nothing but the answer."""

import os
from pathlib import Path

import msgspec
import numpy as np

decode = msgspec.json.Decoder(dict[str, list[list[float]]]).decode
encode = msgspec.json.Encoder().encode
path = Path(os.environ["SERVED_MODEL"])

if path.suffix == ".onnx":
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path.read_bytes(), options)

    def probabilities(rows: list[list[float]]) -> list[float]:
        return session.run(["probabilities"], {"X": np.array(rows, np.float32)})[0][:, 1].tolist()
else:
    import joblib

    model = joblib.load(path)

    def probabilities(rows: list[list[float]]) -> list[float]:
        return model.predict_proba(np.array(rows))[:, 1].tolist()


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    message = await receive()
    parts = [message["body"]]
    while message["more_body"]:
        message = await receive()
        parts.append(message["body"])
    body = encode({"probabilities": probabilities(decode(b"".join(parts))["rows"])})
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
