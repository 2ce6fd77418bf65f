"""The models of the checks as MLServer serves them: a runtime of its own kind, one settings file per model."""

from __future__ import annotations

from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.errors import InferenceError
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput


class EchoModel(MLModel):
    """Gives its one input back as `OUTPUT`, as it came."""

    async def load(self) -> bool:
        """Say that there is nothing to load."""
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Answer one request."""
        given = payload.inputs[0]
        output = ResponseOutput(name="OUTPUT", shape=given.shape, datatype=given.datatype, data=given.data)
        return InferenceResponse(model_name=self.name, model_version=self.version, outputs=[output])


class AddSubtractModel(MLModel):
    """Gives the sum and the difference of its inputs, decoded and encoded by MLServer's own codec."""

    async def load(self) -> bool:
        """Say that there is nothing to load."""
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Answer one request."""
        given = {one.name: NumpyCodec.decode_input(one) for one in payload.inputs}
        first, second = given["INPUT0"], given["INPUT1"]
        known = {"OUTPUT0": first + second, "OUTPUT1": first - second}
        # as its own runtimes do, the model gives what is asked for
        wanted = [one.name for one in payload.outputs] if payload.outputs else list(known)
        for name in wanted:
            if name not in known:
                raise InferenceError(f"there is no output '{name}'")
        outputs = [NumpyCodec.encode_output(name, known[name]) for name in wanted]
        return InferenceResponse(model_name=self.name, model_version=self.version, outputs=outputs)
