"""Ray Serve: one deployment behind its proxy, on a cluster of this machine, as its documentation begins."""

import os
import sys

import joblib
import numpy as np
from ray import serve
from starlette.requests import Request


@serve.deployment
class Served:
    def __init__(self):
        self.model = joblib.load(os.environ["SERVED_MODEL"])

    async def __call__(self, request: Request) -> dict:
        rows = np.array((await request.json())["rows"])
        return {"probabilities": self.model.predict_proba(rows)[:, 1].tolist()}


if __name__ == "__main__":
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    serve.run(Served.bind(), route_prefix="/predict", blocking=True)
