from __future__ import annotations

from typing import Any

import pytest

from interlock.server.grpc_oip.messages import DATA_TYPES, METHODS, SERVICE, message_types

service_pb2 = pytest.importorskip("tritonclient.grpc.service_pb2")


def wire(message: Any, seen: frozenset[str] = frozenset()) -> dict[int, Any]:
    """Return what the wire knows of a message: the number of each field, its type, and what lies in it."""
    found: dict[int, Any] = {}
    for field in message.fields:
        kind: Any = field.type
        if field.message_type is not None and field.message_type.full_name not in seen:
            kind = wire(field.message_type, seen | {field.message_type.full_name})
        found[field.number] = (field.name, field.is_repeated, kind)
    return found


def sides() -> list[str]:
    return [f"{method}{side}" for method in METHODS for side in ("Request", "Response")]


def all_fields(ours: dict[int, Any], theirs: dict[int, Any], path: str) -> None:
    for number, (name, repeated, kind) in ours.items():
        assert number in theirs, f"{path}: field {number} ({name}) is not the protocol's"
        their_name, their_repeated, their_kind = theirs[number]
        assert (name, repeated) == (their_name, their_repeated), path
        if isinstance(kind, dict) and isinstance(their_kind, dict):
            all_fields(kind, their_kind, f"{path}.{name}")
        elif (kind, their_kind) != (5, 14):  # an enum is a number
            assert kind == their_kind, f"{path}.{name}"


@pytest.mark.parametrize("name", [*sides(), "ModelStreamInferResponse"])
def test_the_wire_is_that_of_nvidias_client(name: str) -> None:
    ours = wire(message_types()[name].DESCRIPTOR)
    theirs = wire(service_pb2.DESCRIPTOR.message_types_by_name[name])
    all_fields(ours, theirs, name)
    subset = ("ModelConfig", "ModelStatistics", "SharedMemory")
    if not name.startswith(subset) and "SharedMemory" not in name:
        assert ours.keys() == theirs.keys()


def test_every_call_of_the_service_is_there() -> None:
    (service,) = service_pb2.DESCRIPTOR.services_by_name.values()
    assert service.full_name == SERVICE
    assert {method.name for method in service.methods} == {*METHODS, "ModelStreamInfer"}


def test_datatypes_have_the_numbers_of_model_configurations() -> None:
    model_config_pb2 = pytest.importorskip("tritonclient.grpc.model_config_pb2")
    assert dict(model_config_pb2.DataType.items()) == {name: at for at, name in enumerate(DATA_TYPES)}


def test_our_messages_live_beside_those_of_clients() -> None:
    ours = message_types()["ModelInferRequest"](model_name="delay", raw_input_contents=[b"\1"])
    ours.inputs.add(name="x", datatype="INT8", shape=[1])
    ours.parameters["timeout"].int64_param = 7
    theirs = service_pb2.ModelInferRequest.FromString(ours.SerializeToString())
    assert (theirs.model_name, theirs.inputs[0].name, theirs.raw_input_contents[0]) == ("delay", "x", b"\1")
    assert theirs.parameters["timeout"].int64_param == 7
    assert type(ours) is not type(theirs)
