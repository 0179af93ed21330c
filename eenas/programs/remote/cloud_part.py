"""The rest of a model on a server: requests of the Open Inference Protocol, and checks of all that it answers."""

import itertools
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from eenas.bounds import parse_json
from eenas.errors import EenasError, LinkError, ProtocolError, SpecError
from eenas.escaping import shortened
from eenas.programs.json_files import shown
from eenas.programs.manifest import Manifest
from eenas.programs.remote.content_encoding import compressed_body
from eenas.programs.remote.feature_codec import OFFSET, SCALE, encode_features
from eenas.programs.remote.http_channel import Channel, ServerAddress, WireReply, WireRequest
from eenas.programs.remote.open_inference import (
    HEADER_LENGTH,
    InferenceRequest,
    InferenceResponse,
    Parameter,
    decode_inference_response,
    encode_inference_request,
    parse_header_length,
)
from eenas.programs.remote.server_link import REFUSED, WRONG, ServerLink, refusal
from eenas.programs.remote.split_facts import FEATURE_TENSOR, LOGITS_TENSOR
from eenas.programs.segments import ANSWERS
from eenas.tier_names import CLOUD_ONLY

MODEL_IDENTITY, SPLIT_PARAMETER, CONTEXT_PARAMETER = "model_identity", "split", "context"
"""The parameters of a request: the identity of the whole model, the split, and the context of the samples."""

TIMEOUT_PARAMETER = "timeout"
"""The parameter of a request with the microseconds after which its answer is not needed any more."""

_MOST_METADATA, _MOST_MODELS = 1_000_000, 100


@dataclass(frozen=True, kw_only=True, eq=False)
class CloudAnswers:
    """The checked answers to n samples: `classes` and `exits` int64 [n], `logits` float32 [n, C]; and the reply."""

    classes: NDArray[np.int64]
    exits: NDArray[np.int64]
    logits: NDArray[np.float32]
    reply: WireReply


@dataclass(frozen=True, kw_only=True, eq=False)
class CloudSamples:
    """n samples for the server: their `features` [n, ...] at the split, or for "" the input, also as bytes.

    `earlier` are the logits [n, exits, C] of the exits before the split. `state` is that of the policy.
    """

    split: str
    features: NDArray[Any]
    earlier: NDArray[np.float32]
    context: str | None = None


@dataclass(frozen=True, kw_only=True)
class ServedPart:
    """A model of a server: its name, the names of its `inputs`, where it starts, and the most samples of a request.

    `split` is None if the server does not say it; then the model starts where a request does.
    """

    name: str
    inputs: tuple[str, ...]
    split: str | None
    most_samples: int | None


class CloudPart:
    """What a server does for one model. `codec` and `compression` are those of the features that are sent.

    Among the models of the server, those with the identity of the model are used, each for the split where it starts.
    """

    def __init__(self, manifest: Manifest, address: ServerAddress, *, codec: str, compression: str) -> None:
        self._manifest, self._address = manifest, address
        self._codec, self._compression = codec, compression
        self._parts: tuple[ServedPart, ...] = ()
        self.listener: Callable[[WireReply], None] = lambda reply: None
        self._prefix, self._numbers = secrets.token_hex(4), itertools.count(1)

    def greet(self, channel: Channel, deadline: float) -> None:
        """Check over a new connection that the server is ready and has this model. Raises LinkError if not."""
        base = self._address.base
        self._ok(channel, WireRequest(method="GET", path=f"{base}/v2/health/ready"), deadline)
        names = [self._address.model]
        if not self._address.model:
            index = self._ok(channel, WireRequest(method="POST", path=f"{base}/v2/repository/index"), deadline)
            names = _names_of(_json_of(index))
        parts, other = [], ""
        for name in names:
            table = _json_of(self._ok(channel, WireRequest(method="GET", path=self._path(name)), deadline))
            try:
                parts.append(self._served(name, table))
            except ProtocolError as error:
                other = str(error)
        if not parts:
            raise LinkError(f"{REFUSED} ({other or 'it serves no models'})")
        self._parts = tuple(parts)

    def most_samples(self, split: str) -> int | None:
        """Return the most samples of a request from a split, or None. Raises LinkError if no model starts there."""
        return self._at(split).most_samples

    def infer(self, link: ServerLink, samples: CloudSamples, deadline: float) -> CloudAnswers:
        """Return the answers of the server to n >= 1 samples. Raises LinkError with the reason if it has none."""
        link.wait(deadline)  # only then are the name and the inputs known
        number = f"{self._prefix}-{next(self._numbers)}"
        reply = link.request(self._request(samples, number, deadline), deadline)
        try:
            response = decode_inference_response(
                reply.body, parse_header_length(reply.headers.get(HEADER_LENGTH.lower()))
            )
            classes, exits, logits = self._checked(response, samples, number)
        except ProtocolError as error:
            reason = f"{WRONG} ({shown(str(error), 200)})"
            link.distrust(reason)
            raise LinkError(reason) from None
        self.listener(reply)
        return CloudAnswers(classes=classes, exits=exits, logits=logits, reply=reply)

    def _path(self, name: str) -> str:
        return f"{self._address.base}/v2/models/{quote(name, safe='')}"

    def _at(self, split: str) -> ServedPart:
        """Return the model that starts at a split. Raises LinkError if there is none."""
        for part in self._parts:
            if part.split is None or part.split == split:
                return part
        known = " and ".join(shown(repr(part.split), 60) for part in self._parts)
        raise LinkError(f"{REFUSED} (it starts at {known}, not at {split!r})")

    def _served(self, name: str, table: Any) -> ServedPart:
        """Return the facts in the metadata of a model. Raises ProtocolError for metadata of another one."""
        inputs = table.get("inputs") if isinstance(table, dict) else None
        if not isinstance(inputs, list) or not inputs or not all(isinstance(each, dict) for each in inputs):
            raise ProtocolError(f"the metadata of {shown(name)} have no inputs")
        facts = table.get("parameters")
        facts = facts if isinstance(facts, dict) else {}
        self._identical(facts.get(MODEL_IDENTITY))
        most, split = facts.get("max_batch"), facts.get(SPLIT_PARAMETER)
        return ServedPart(
            name=name,
            inputs=tuple(str(each.get("name", "")) for each in inputs),
            split=split if isinstance(split, str) else None,
            most_samples=most if isinstance(most, int) and not isinstance(most, bool) and most > 0 else None,
        )

    def _request(self, samples: CloudSamples, number: str, deadline: float) -> WireRequest:
        part = self._at(samples.split)
        tensors: dict[str, NDArray[Any]]
        if samples.split == CLOUD_ONLY:
            own = (name for name in part.inputs if name not in (FEATURE_TENSOR, SCALE, OFFSET, LOGITS_TENSOR))
            tensors = {next(own, part.inputs[0]): samples.features}
        else:
            tensors = encode_features(samples.features, self._codec)
            if LOGITS_TENSOR in part.inputs:
                tensors[LOGITS_TENSOR] = np.ascontiguousarray(samples.earlier)
        parameters: dict[str, Parameter] = {
            MODEL_IDENTITY: self._manifest.identity,
            SPLIT_PARAMETER: samples.split,
            TIMEOUT_PARAMETER: max(int(1e6 * (deadline - time.monotonic())), 1),
            **({} if samples.context is None else {CONTEXT_PARAMETER: samples.context}),
        }
        request = InferenceRequest(
            inputs=tensors,
            outputs=ANSWERS,
            binary_outputs=frozenset(ANSWERS),
            all_binary=True,
            id=number,
            parameters=parameters,
        )
        body = encode_inference_request(request)
        headers = dict(body.headers)
        if self._compression != "none":
            headers["Content-Encoding"] = self._compression
        data = body.data if self._compression == "none" else compressed_body(body.data, self._compression)
        return WireRequest(method="POST", path=f"{self._path(part.name)}/infer", headers=headers, body=data)

    def _checked(
        self, response: InferenceResponse, samples: CloudSamples, number: str
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
        """Return the arrays of a response. Raises ProtocolError if it cannot be the answer to the request."""
        n, classes_known, exits_known = len(samples.features), len(self._manifest.classes), len(self._manifest.exits)
        if response.id != number:
            raise ProtocolError(f"the answer to another request, {shortened(response.id or 'none')}")
        self._identical(response.parameters.get(MODEL_IDENTITY))
        wanted = {"classes": (np.int64, (n,)), "exits": (np.int64, (n,)), "logits": (np.float32, (n, classes_known))}
        found = []
        for name, (dtype, shape) in wanted.items():
            array = response.outputs.get(name)
            if array is None or array.dtype != dtype or array.shape != shape:
                got = "none" if array is None else f"{array.dtype} {list(array.shape)}"
                raise ProtocolError(f"{name} must be {np.dtype(dtype)} {list(shape)}, got {got}")
            found.append(array)
        classes, exits, logits = found
        first = samples.earlier.shape[1]
        for name, array, low, high in (("classes", classes, 0, classes_known), ("exits", exits, first, exits_known)):
            if n and not low <= int(array.min()) <= int(array.max()) < high:
                raise ProtocolError(f"{name} must be from {low} to {high - 1}, got {array.min()} to {array.max()}")
        if not np.isfinite(logits).all():
            bad = int(np.flatnonzero(~np.isfinite(logits).all(axis=1))[0])
            raise ProtocolError(f"logits must be finite, got NaN or infinity in sample {bad} of {n}")
        return classes, exits, logits

    def _identical(self, identity: object) -> None:
        if identity is not None and identity != self._manifest.identity:
            own = self._manifest.identity
            raise ProtocolError(
                f"the server has the model {shortened(identity, 40)}, this is {own}; use its other half"
            )

    def _ok(self, channel: Channel, request: WireRequest, deadline: float) -> WireReply:
        reply = channel.exchange(request, deadline)
        if reply.status != 200:
            raise LinkError(f"{REFUSED} ({refusal(reply)})")
        self.listener(reply)
        return reply


def _json_of(reply: WireReply) -> Any:
    """Return the JSON value in the body of an answer. Raises LinkError."""
    try:
        return parse_json(reply.body, most=_MOST_METADATA)
    except (SpecError, EenasError):
        raise LinkError(f"{WRONG} (metadata that are not JSON)") from None


def _names_of(index: Any) -> list[str]:
    """Return the names in the index of a server, at most 100."""
    entries = index if isinstance(index, list) else []
    names = [each.get("name") for each in entries if isinstance(each, dict)]
    return [name for name in names if isinstance(name, str) and name][:_MOST_MODELS]
