"""The Open Inference Protocol, version 2, over HTTP: named arrays as JSON, or as bytes behind a JSON header.

The protocol is that of KServe and Triton, with its extension for binary tensors. A body is a JSON text, optionally
followed by the bytes of tensors, little-endian in C order. Then the HTTP header `Inference-Header-Content-Length`
states the length of the JSON text. All sizes are checked before an array is made.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from eenas.bounds import MOST_JSON, MOST_VALUES, parse_json
from eenas.errors import ProtocolError, SpecError
from eenas.escaping import shortened
from eenas.programs.remote.tensors import (
    array_from_bytes,
    array_from_values,
    bytes_of_array,
    check_tensor_facts,
    datatype_of,
)

HEADER_LENGTH = "Inference-Header-Content-Length"
"""The HTTP header with the length of the JSON text of a body that has bytes behind it."""

MOST_TENSORS = 64
_LONGEST_NAME = 500

Parameter = str | int | float | bool


@dataclass(frozen=True, kw_only=True, eq=False)
class InferenceRequest:
    """Arrays for a model by the names of its inputs, and the outputs that are wanted by name (empty: all).

    `binary_outputs` are the names of those that are wanted as bytes; `all_binary` asks for it by default.
    """

    inputs: Mapping[str, NDArray[Any]]
    outputs: tuple[str, ...] = ()
    binary_outputs: frozenset[str] = frozenset()
    all_binary: bool = False
    id: str = ""
    parameters: Mapping[str, Parameter] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class InferenceResponse:
    """The arrays that a model returned, by the names of its outputs."""

    outputs: Mapping[str, NDArray[Any]]
    model: str
    version: str = ""
    id: str = ""
    parameters: Mapping[str, Parameter] = field(default_factory=dict)


@dataclass(frozen=True)
class InferenceBody:
    """The body of a request or response. `header_length` is the length of its JSON text, or None if it is all."""

    data: bytes
    header_length: int | None = None

    @property
    def headers(self) -> dict[str, str]:
        """The HTTP headers that describe the body."""
        if self.header_length is None:
            return {"Content-Type": "application/json"}
        return {"Content-Type": "application/octet-stream", HEADER_LENGTH: str(self.header_length)}


def encode_inference_request(request: InferenceRequest, *, binary: bool = True) -> InferenceBody:
    """Return the body of a request. With `binary`, arrays are sent as bytes, and else as JSON.

    Raises ProtocolError for a type that the protocol does not have, and for NaN and infinity in JSON.
    """
    table = _facts(request.id, request.parameters)
    if request.all_binary:
        table["parameters"] = {**table.get("parameters", {}), "binary_data_output": True}
    if request.outputs:
        table["outputs"] = [
            {"name": name, "parameters": {"binary_data": name in request.binary_outputs or request.all_binary}}
            for name in request.outputs
        ]
    return _encoded(table, "inputs", request.inputs, frozenset(request.inputs) if binary else frozenset())


def decode_inference_request(data: bytes | memoryview, header_length: int | None = None) -> InferenceRequest:
    """Return the request in a body. Its arrays may be read-only and share the memory of `data`.

    Raises ProtocolError for a malformed body.
    """
    table, inputs, parameters = _decoded(data, header_length, "inputs")
    all_binary = parameters.pop("binary_data_output", False)
    if not isinstance(all_binary, bool):
        raise ProtocolError(f"binary_data_output must be true or false, got {shortened(all_binary)}")
    names: dict[str, bool] = {}
    for each in _list_of(table, "outputs") if "outputs" in table else ():
        name = _name_of(each, "outputs", names)
        own = _parameters_of(each)
        for key in ("classification", "shared_memory_region"):
            if key in own:
                raise ProtocolError(f"output {name!r}: the parameter {key} is not supported; leave it out")
        if not isinstance(as_bytes := own.get("binary_data", all_binary), bool):
            raise ProtocolError(f"output {name!r}: binary_data must be true or false, got {shortened(as_bytes)}")
        names[name] = as_bytes
    return InferenceRequest(
        inputs=inputs,
        outputs=tuple(names),
        binary_outputs=frozenset(name for name, as_bytes in names.items() if as_bytes),
        all_binary=all_binary,
        id=_text_of(table, "id"),
        parameters=parameters,
    )


def encode_inference_response(response: InferenceResponse, binary: frozenset[str] = frozenset()) -> InferenceBody:
    """Return the body of a response, with the outputs called `binary` as bytes and the others as JSON.

    Raises ProtocolError for a type that the protocol does not have, and for NaN and infinity in JSON.
    """
    table = {"model_name": response.model, **_facts(response.id, response.parameters)}
    if response.version:
        table["model_version"] = response.version
    return _encoded(table, "outputs", response.outputs, binary)


def decode_inference_response(data: bytes | memoryview, header_length: int | None = None) -> InferenceResponse:
    """Return the response in a body, as `decode_inference_request` does. Raises ProtocolError."""
    table, outputs, parameters = _decoded(data, header_length, "outputs")
    model, version = _text_of(table, "model_name"), _text_of(table, "model_version")
    return InferenceResponse(
        outputs=outputs, model=model, version=version, id=_text_of(table, "id"), parameters=parameters
    )


def parse_header_length(value: str | None) -> int | None:
    """Return the value of the HTTP header HEADER_LENGTH as a number. Raises ProtocolError."""
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and len(value) <= 12):
        raise ProtocolError(f"{HEADER_LENGTH} must be a number of bytes, got {shortened(value)}")
    return int(value)


def encode_protocol_error(message: str) -> bytes:
    """Return the body of a response that refuses a request."""
    return json.dumps({"error": message}).encode()


def decode_protocol_error(data: bytes) -> str:
    """Return the message in the body of a response that refuses a request, or a part of another body."""
    try:
        table = parse_json(data, most=100_000, finite=False)
    except SpecError:
        table = None
    if isinstance(table, dict) and isinstance(table.get("error"), str):
        return shortened(table["error"], 1000)
    return shortened(data[:1000].decode(errors="replace"), 200)


def _facts(id: str, parameters: Mapping[str, Parameter]) -> dict[str, Any]:
    return {**({"id": id} if id else {}), **({"parameters": dict(parameters)} if parameters else {})}


def _encoded(
    table: dict[str, Any], key: str, tensors: Mapping[str, NDArray[Any]], binary: frozenset[str]
) -> InferenceBody:
    """Return a body with the tensors under `key` of the table."""
    parts, entries = [], []
    for name, array in tensors.items():
        entry: dict[str, Any] = {"name": name, "datatype": datatype_of(array), "shape": list(array.shape)}
        if name in binary:
            parts.append(bytes_of_array(array))
            entry["parameters"] = {"binary_data_size": len(parts[-1])}
        else:
            entry["data"] = array.ravel().tolist()
        entries.append(entry)
    try:
        text = json.dumps({**table, key: entries}, allow_nan=False).encode()
    except ValueError:
        raise ProtocolError("JSON has no NaN and no infinity; send the array as bytes") from None
    if not parts:
        return InferenceBody(text)
    text += b" " * (-len(text) % 8)  # the bytes behind it are then aligned
    return InferenceBody(b"".join([text, *parts]), len(text))


def _decoded(
    data: bytes | memoryview, header_length: int | None, key: str
) -> tuple[dict[str, Any], dict[str, NDArray[Any]], dict[str, Parameter]]:
    """Return the JSON table of a body, the tensors under `key` by name, and the parameters of the table."""
    whole = memoryview(data)
    length = len(whole) if header_length is None else header_length
    if length > len(whole):
        raise ProtocolError(f"{HEADER_LENGTH} must be at most the {len(whole):,} bytes of the body, got {length:,}")
    try:
        table = parse_json(str(whole[:length], "utf-8"), most=MOST_JSON, finite=True)
    except UnicodeDecodeError:
        raise ProtocolError("the JSON text of the body must be UTF-8") from None
    except SpecError as error:
        advice = f" (tensors with more than {MOST_VALUES:,} values are sent as bytes)" if length > MOST_VALUES else ""
        raise ProtocolError(f"the JSON text of the body: {str(error).partition(';')[0]}{advice}") from None
    if not isinstance(table, dict):
        raise ProtocolError(f"the body must be a JSON object, got {shortened(table)}")
    entries, rest = _list_of(table, key), whole[length:]
    tensors: dict[str, NDArray[Any]] = {}
    for each in entries:
        name = _name_of(each, key, tensors)
        place = f"{key.removesuffix('s')} {name!r}"
        dtype, shape = check_tensor_facts(place, each.get("datatype"), each.get("shape"))
        own = _parameters_of(each)
        if "shared_memory_region" in own:
            raise ProtocolError(f"{place}: the parameter shared_memory_region is not supported; send the data")
        size = own.get("binary_data_size")
        if size is None:
            tensors[name] = array_from_values(place, each.get("data"), dtype, shape)
            continue
        if "data" in each or isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= len(rest):
            raise ProtocolError(
                f"{place}: binary_data_size must be at most the {len(rest):,} bytes left in the body, without data, "
                f"got {shortened(size)}"
            )
        tensors[name] = array_from_bytes(place, rest[:size], dtype, shape)
        rest = rest[size:]
    if len(rest):
        raise ProtocolError(f"the body has {len(rest):,} bytes that belong to no tensor; correct binary_data_size")
    return table, tensors, _parameters_of(table)


def _list_of(table: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    entries = table.get(key)
    if (
        not isinstance(entries, list)
        or len(entries) > MOST_TENSORS
        or not all(isinstance(each, dict) for each in entries)
    ):
        raise ProtocolError(f"{key} must be a list of at most {MOST_TENSORS} objects, got {shortened(entries)}")
    return entries


def _name_of(entry: Mapping[str, Any], key: str, taken: Mapping[str, Any]) -> str:
    name = entry.get("name")
    if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_NAME or name in taken:
        raise ProtocolError(f"each of {key} must have a name of its own, got {shortened(name)}")
    return name


def _text_of(table: Mapping[str, Any], key: str) -> str:
    if not isinstance(text := table.get(key, ""), str) or len(text) > _LONGEST_NAME:
        raise ProtocolError(f"{key} must be a text of at most {_LONGEST_NAME} characters, got {shortened(text)}")
    return text


def _parameters_of(table: Mapping[str, Any]) -> dict[str, Parameter]:
    found = table.get("parameters", {})
    if not isinstance(found, dict) or not all(isinstance(value, str | int | float) for value in found.values()):
        raise ProtocolError(f"parameters must be an object of texts, numbers and booleans, got {shortened(found)}")
    return dict(found)
