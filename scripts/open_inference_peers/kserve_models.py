"""The models of the checks as KServe's SDK serves them: `python kserve_models.py --http_port=… --grpc_port=…`."""

from __future__ import annotations

import numpy as np
from kserve import InferInput, InferOutput, InferRequest, InferResponse, Model, ModelServer

DATATYPES = [
    "BOOL",
    "UINT8",
    "UINT16",
    "UINT32",
    "UINT64",
    "INT8",
    "INT16",
    "INT32",
    "INT64",
    "FP16",
    "BF16",
    "FP32",
    "FP64",
    "BYTES",
]


def _described(name: str, datatype: str, *shape: int) -> dict[str, object]:
    return {"name": name, "datatype": datatype, "shape": list(shape)}


def _response(request: InferRequest, name: str, outputs: list[InferOutput]) -> InferResponse:
    """Return the outputs that a request asks for, raw where it wants that: the library does both."""
    return InferResponse(
        request.id or "",
        name,
        outputs,
        model_version="1",
        use_binary_outputs=request.use_binary_outputs,
        requested_outputs=request.request_outputs,
    )


class EchoModel(Model):
    """Gives its one input back as `OUTPUT`."""

    def __init__(self, datatype: str, name: str = "") -> None:
        super().__init__(name or f"echo_{datatype.lower()}")
        self._datatype = datatype
        self.ready = True

    async def get_input_types(self) -> list[dict[str, object]]:
        """Describe the input."""
        return [_described("INPUT", self._datatype, -1, -1)]

    async def get_output_types(self) -> list[dict[str, object]]:
        """Describe the output."""
        return [_described("OUTPUT", self._datatype, -1, -1)]

    async def predict(self, payload: InferRequest | dict, headers: object = None, response_headers: object = None):
        """Answer one request, of either protocol."""
        if isinstance(payload, dict):
            return {"predictions": payload["instances"]}
        given: InferInput = payload.inputs[0]
        values = given.as_numpy()
        output = InferOutput("OUTPUT", list(values.shape), given.datatype)
        output.set_data_from_numpy(values)
        return _response(payload, self.name, [output])


class AddSubtractModel(Model):
    """Gives the sum and the difference of its inputs."""

    def __init__(self) -> None:
        super().__init__("simple")
        self.ready = True

    async def get_input_types(self) -> list[dict[str, object]]:
        """Describe the inputs."""
        return [_described(f"INPUT{at}", "INT32", -1, 16) for at in range(2)]

    async def get_output_types(self) -> list[dict[str, object]]:
        """Describe the outputs."""
        return [_described(f"OUTPUT{at}", "INT32", -1, 16) for at in range(2)]

    async def predict(self, payload: InferRequest, headers: object = None, response_headers: object = None):
        """Answer one request."""
        first, second = (np.asarray(payload.get_input_by_name(f"INPUT{at}").as_numpy()) for at in range(2))
        outputs = []
        for name, values in (("OUTPUT0", first + second), ("OUTPUT1", first - second)):
            output = InferOutput(name, list(values.shape), "INT32")
            output.set_data_from_numpy(values)
            outputs.append(output)
        return _response(payload, self.name, outputs)


if __name__ == "__main__":
    ModelServer().start(
        [AddSubtractModel(), EchoModel("FP32", "spare"), *(EchoModel(datatype) for datatype in DATATYPES)]
    )
