"""Define the messages of the Open Inference Protocol's gRPC service, in a pool of their own.

The clients of others register messages of the same names in the pool that a process shares; here each name is
known to nobody else, so that server and clients may live in one process. What the wire knows are the numbers and
types of fields, and those are the protocol's.

Source: the Open Inference Protocol (V2), gRPC, and the extensions of it that NVIDIA's client speaks.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from interlock.core.errors import InvalidInput, missing_extra

PACKAGE = "inference"
SERVICE = f"{PACKAGE}.GRPCInferenceService"

_MESSAGES = """
ServerLiveRequest:
ServerLiveResponse: 1 bool live
ServerReadyRequest:
ServerReadyResponse: 1 bool ready
ModelReadyRequest: 1 string name, 2 string version
ModelReadyResponse: 1 bool ready
ServerMetadataRequest:
ServerMetadataResponse: 1 string name, 2 string version, 3 *string extensions
ModelMetadataRequest: 1 string name, 2 string version
ModelMetadataResponse: 1 string name, 2 *string versions, 3 string platform, 4 *TensorMetadata inputs,
    5 *TensorMetadata outputs
TensorMetadata: 1 string name, 2 string datatype, 3 *int64 shape

InferParameter: 1 bool bool_param, 2 int64 int64_param, 3 string string_param, 4 double double_param,
    5 uint64 uint64_param | choice
InferTensorContents: 1 *bool bool_contents, 2 *int32 int_contents, 3 *int64 int64_contents, 4 *uint32 uint_contents,
    5 *uint64 uint64_contents, 6 *float fp32_contents, 7 *double fp64_contents, 8 *bytes bytes_contents
InferInputTensor: 1 string name, 2 string datatype, 3 *int64 shape, 4 %InferParameter parameters,
    5 InferTensorContents contents
InferRequestedOutputTensor: 1 string name, 2 %InferParameter parameters
InferOutputTensor: 1 string name, 2 string datatype, 3 *int64 shape, 4 %InferParameter parameters,
    5 InferTensorContents contents
ModelInferRequest: 1 string model_name, 2 string model_version, 3 string id, 4 %InferParameter parameters,
    5 *InferInputTensor inputs, 6 *InferRequestedOutputTensor outputs, 7 *bytes raw_input_contents
ModelInferResponse: 1 string model_name, 2 string model_version, 3 string id, 4 %InferParameter parameters,
    5 *InferOutputTensor outputs, 6 *bytes raw_output_contents
ModelStreamInferResponse: 1 string error_message, 2 ModelInferResponse infer_response

ModelConfigRequest: 1 string name, 2 string version
ModelConfigResponse: 1 ModelConfig config
ModelConfig: 1 string name, 2 string platform, 17 string backend, 3 VersionPolicy version_policy,
    4 int32 max_batch_size, 5 *ConfiguredInput input, 6 *ConfiguredOutput output
VersionPolicy: 3 VersionsOfPolicy specific
VersionsOfPolicy: 1 *int64 versions
ConfiguredInput: 1 string name, 2 int32 data_type, 4 *int64 dims
ConfiguredOutput: 1 string name, 2 int32 data_type, 3 *int64 dims

ModelStatisticsRequest: 1 string name, 2 string version
ModelStatisticsResponse: 1 *ModelStatistics model_stats
ModelStatistics: 1 string name, 2 string version, 3 uint64 last_inference, 4 uint64 inference_count,
    5 uint64 execution_count, 6 InferStatistics inference_stats, 7 *InferBatchStatistics batch_stats
InferStatistics: 1 StatisticDuration success, 2 StatisticDuration fail, 3 StatisticDuration queue,
    4 StatisticDuration compute_input, 5 StatisticDuration compute_infer, 6 StatisticDuration compute_output,
    7 StatisticDuration cache_hit, 8 StatisticDuration cache_miss
InferBatchStatistics: 1 uint64 batch_size, 2 StatisticDuration compute_input, 3 StatisticDuration compute_infer,
    4 StatisticDuration compute_output
StatisticDuration: 1 uint64 count, 2 uint64 ns

ModelRepositoryParameter: 1 bool bool_param, 2 int64 int64_param, 3 string string_param, 4 bytes bytes_param | choice
RepositoryIndexRequest: 1 string repository_name, 2 bool ready
RepositoryIndexResponse: 1 *ModelIndex models
ModelIndex: 1 string name, 2 string version, 3 string state, 4 string reason
RepositoryModelLoadRequest: 1 string repository_name, 2 string model_name, 3 %ModelRepositoryParameter parameters
RepositoryModelLoadResponse:
RepositoryModelUnloadRequest: 1 string repository_name, 2 string model_name, 3 %ModelRepositoryParameter parameters
RepositoryModelUnloadResponse:

RegionStatus: 1 string name
SystemSharedMemoryStatusRequest: 1 string name
SystemSharedMemoryStatusResponse: 1 %RegionStatus regions
SystemSharedMemoryRegisterRequest: 1 string name
SystemSharedMemoryRegisterResponse:
SystemSharedMemoryUnregisterRequest: 1 string name
SystemSharedMemoryUnregisterResponse:
CudaSharedMemoryStatusRequest: 1 string name
CudaSharedMemoryStatusResponse: 1 %RegionStatus regions
CudaSharedMemoryRegisterRequest: 1 string name
CudaSharedMemoryRegisterResponse:
CudaSharedMemoryUnregisterRequest: 1 string name
CudaSharedMemoryUnregisterResponse:

TraceValue: 1 *string value
TraceSettingRequest: 1 %TraceValue settings, 2 string model_name
TraceSettingResponse: 1 %TraceValue settings
LogValue: 1 bool bool_param, 2 uint32 uint32_param, 3 string string_param | choice
LogSettingsRequest: 1 %LogValue settings
LogSettingsResponse: 1 %LogValue settings
"""
"""A message per entry: number, type and name of each field. `*` is repeated, `%` a map from text to a message, and
`| choice` says that of the fields at most one is set. Messages that are never sent by themselves have names of our
own, which the wire does not know."""

METHODS = [
    "ServerLive",
    "ServerReady",
    "ModelReady",
    "ServerMetadata",
    "ModelMetadata",
    "ModelInfer",
    "ModelConfig",
    "ModelStatistics",
    "RepositoryIndex",
    "RepositoryModelLoad",
    "RepositoryModelUnload",
    "SystemSharedMemoryStatus",
    "SystemSharedMemoryRegister",
    "SystemSharedMemoryUnregister",
    "CudaSharedMemoryStatus",
    "CudaSharedMemoryRegister",
    "CudaSharedMemoryUnregister",
    "TraceSetting",
    "LogSettings",
]
"""The calls that are answered once; each has a `…Request` and a `…Response`."""
DATA_TYPES = [
    "TYPE_INVALID",
    "TYPE_BOOL",
    "TYPE_UINT8",
    "TYPE_UINT16",
    "TYPE_UINT32",
    "TYPE_UINT64",
    "TYPE_INT8",
    "TYPE_INT16",
    "TYPE_INT32",
    "TYPE_INT64",
    "TYPE_FP16",
    "TYPE_FP32",
    "TYPE_FP64",
    "TYPE_STRING",
    "TYPE_BF16",
]
"""The datatypes of model configurations by their number."""

_FIELD = re.compile(r"(\d+) ([*%]?)(\w+) (\w+)")
_SCALARS = {
    "double": 1,
    "float": 2,
    "int64": 3,
    "uint64": 4,
    "int32": 5,
    "bool": 8,
    "string": 9,
    "bytes": 12,
    "uint32": 13,
}
_MESSAGE, _OPTIONAL, _REPEATED = 11, 1, 3


@lru_cache(maxsize=1)
def message_types() -> dict[str, Any]:
    """Return the class of each message by its name.

    Raises:
        MissingExtra: The library of protobuf is not installed.
    """
    try:
        from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    except ImportError as error:
        raise missing_extra("protobuf", extra="grpc", purpose="gRPC") from error
    file = descriptor_pb2.FileDescriptorProto(name="open_inference.proto", package=PACKAGE, syntax="proto3")
    for text in re.split(r"\n(?=\w)", _MESSAGES.strip()):
        name, _, fields = text.partition(":")
        _add_message(file.message_type.add(name=name), fields)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        message.name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{message.name}"))
        for message in file.message_type
    }


def read_message(name: str, data: bytes) -> tuple[Any, InvalidInput | None]:
    """Return a message; where the bytes are none, an empty one and what is wrong with them."""
    from google.protobuf.message import DecodeError

    kind = message_types()[name]
    try:
        return kind.FromString(data), None
    except DecodeError as error:
        return kind(), InvalidInput(f"this is no {name}", why=str(error)[:300])


def _add_message(message: Any, text: str) -> None:
    fields, _, choice = text.partition("|")
    if choice:
        message.oneof_decl.add(name=choice.strip())
    for number, mark, kind, name in _FIELD.findall(fields):
        if mark == "%":
            entry = message.nested_type.add(name=name.title().replace("_", "") + "Entry")
            entry.options.map_entry = True
            _add_field(entry, 1, "string", "key")
            _add_field(entry, 2, kind, "value")
            kind = f"{message.name}.{entry.name}"
        field = _add_field(message, int(number), kind, name)
        if mark:
            field.label = _REPEATED
        if choice:
            field.oneof_index = 0


def _add_field(message: Any, number: int, kind: str, name: str) -> Any:
    field = message.field.add(number=number, name=name, label=_OPTIONAL, type=_SCALARS.get(kind, _MESSAGE))
    if kind not in _SCALARS:
        field.type_name = f".{PACKAGE}.{kind}"
    return field
