"""Requests and responses of the Open Inference Protocol as messages of gRPC."""

import math
from typing import Any

from numpy.typing import NDArray

from eenas.deployment.serving.protocol.messages import message_class
from eenas.errors import ProtocolError
from eenas.programs.remote.open_inference import MOST_TENSORS, InferenceRequest, InferenceResponse, Parameter
from eenas.programs.remote.tensors import (
    array_from_bytes,
    array_from_values,
    bytes_of_array,
    check_tensor_facts,
    datatype_of,
)

_CONTENTS = {
    "BOOL": "bool_contents",
    **{f"INT{bits}": "int_contents" for bits in (8, 16, 32)},
    **{f"UINT{bits}": "uint_contents" for bits in (8, 16, 32)},
    "INT64": "int64_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
}
"""The field of typed contents for each datatype; FP16 has none."""


def request_from_message(message: Any) -> InferenceRequest:
    """Return the request in a message ModelInferRequest. Raises ProtocolError for tensors that do not fit."""
    raw, inputs = message.raw_input_contents, message.inputs
    if len(inputs) > MOST_TENSORS or len(message.outputs) > MOST_TENSORS:
        raise ProtocolError(f"a request has at most {MOST_TENSORS} tensors, got {len(inputs)}")
    if raw and len(raw) != len(inputs):
        raise ProtocolError(f"raw_input_contents must have {len(inputs)} entries, one for each input, got {len(raw)}")
    tensors: dict[str, NDArray[Any]] = {}
    for number, each in enumerate(inputs):
        if not each.name or each.name in tensors:
            raise ProtocolError(f"each of inputs must have a name of its own, got {each.name[:100]!r}")
        place = f"input {each.name[:100]!r}"
        if "shared_memory_region" in each.parameters:
            raise ProtocolError(f"{place}: the parameter shared_memory_region is not supported; send the data")
        dtype, shape = check_tensor_facts(place, each.datatype, list(each.shape))
        if raw:
            if each.HasField("contents") and each.contents.ByteSize():
                raise ProtocolError(f"{place}: contents must be left out where raw_input_contents are given")
            tensors[each.name] = array_from_bytes(place, raw[number], dtype, shape)
            continue
        field = _CONTENTS.get(each.datatype)
        if field is None:
            raise ProtocolError(f"{place}: {each.datatype} has no typed contents; send raw_input_contents")
        values = getattr(each.contents, field)
        if len(values) != math.prod(shape):
            raise ProtocolError(f"{place}: shape {list(shape)} needs {math.prod(shape):,} values, got {len(values):,}")
        tensors[each.name] = array_from_values(place, list(values), dtype, shape)
    names = [each.name for each in message.outputs]
    if len(set(names)) != len(names) or "" in names:
        raise ProtocolError("each of outputs must have a name of its own")
    for each in message.outputs:
        if "classification" in each.parameters or "shared_memory_region" in each.parameters:
            raise ProtocolError(f"output {each.name[:100]!r}: its parameters are not supported; leave them out")
    parameters = {name: _value(each) for name, each in message.parameters.items()}
    return InferenceRequest(inputs=tensors, outputs=tuple(names), id=message.id, parameters=parameters)


def response_to_message(response: InferenceResponse) -> Any:
    """Return a response as a message ModelInferResponse with raw contents."""
    message = message_class("ModelInferResponse")(
        model_name=response.model, model_version=response.version, id=response.id
    )
    for name, value in response.parameters.items():
        field = {bool: "bool_param", int: "int64_param", float: "double_param"}.get(type(value), "string_param")
        setattr(message.parameters[name], field, value)
    for name, array in response.outputs.items():
        message.outputs.add(name=name, datatype=datatype_of(array), shape=array.shape)
        message.raw_output_contents.append(bytes_of_array(array))
    return message


def _value(parameter: Any) -> Parameter:
    """Return the value of a parameter; "" if it has none."""
    chosen = parameter.WhichOneof("parameter_choice")
    return "" if chosen is None else getattr(parameter, chosen)
