"""KServe's SDK: a custom model as its documentation has it, for protocol V1 and V2.

It listens on every address and cannot be told otherwise; here it is made to listen on loopback only.
"""

import os

import joblib
import uvicorn


class Loopback(uvicorn.Config):
    def __init__(self, *given, host="", **more):
        super().__init__(*given, host="127.0.0.1", **more)


uvicorn.Config = Loopback

from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer  # noqa: E402
from kserve.utils.utils import generate_uuid  # noqa: E402


class Served(Model):
    def __init__(self, name: str):
        super().__init__(name)
        self.load()

    def load(self):
        self.model = joblib.load(os.environ["SERVED_MODEL"])
        self.ready = True

    async def predict(self, payload, headers=None, response_headers=None):
        if isinstance(payload, InferRequest):
            answer = self.model.predict_proba(payload.inputs[0].as_numpy())[:, 1]
            output = InferOutput("probability", list(answer.shape), "FP64", data=answer.tolist())
            return InferResponse(generate_uuid(), self.name, [output])
        return {"predictions": self.model.predict_proba(payload["instances"])[:, 1].tolist()}


if __name__ == "__main__":
    ModelServer().start([Served("served")])
