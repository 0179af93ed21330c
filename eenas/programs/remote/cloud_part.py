"""The rest of a model on a server: requests of the Open Inference Protocol, and checks of all that it answers."""

import itertools
import secrets
from collections.abc import Callable, Mapping
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
from eenas.programs.remote.split_facts import CLOUD_ONLY, FEATURE_TENSOR, LOGITS_TENSOR
from eenas.programs.segments import ANSWERS

MODEL_IDENTITY, SPLIT_PARAMETER, CONTEXT_PARAMETER = "model_identity", "split", "context"
"""The parameters of a request: the identity of the whole model, the split, and the context of the samples."""

_MOST_METADATA = 1_000_000


@dataclass(frozen=True, kw_only=True, eq=False)
class CloudAnswers:
    """The checked answers to n samples: `classes` and `exits` int64 [n], `logits` float32 [n, C]; and the reply."""

    classes: NDArray[np.int64]
    exits: NDArray[np.int64]
    logits: NDArray[np.float32]
    reply: WireReply


@dataclass(frozen=True, kw_only=True, eq=False)
class CloudSamples:
    """n samples for the server: their `features` [n, ...] at the split, or the input itself for the split "".

    `earlier` are the logits [n, exits, C] of the exits before the split. `state` is that of the policy.
    """

    split: str
    features: NDArray[np.float32]
    earlier: NDArray[np.float32]
    context: str | None = None


class CloudPart:
    """What a server does for one model. `codec` and `compression` are those of the features that are sent."""

    def __init__(
        self, manifest: Manifest, address: ServerAddress, *, name: str = "", codec: str, compression: str
    ) -> None:
        self._manifest, self._address = manifest, address
        self._codec, self._compression = codec, compression
        self._name = name or address.model
        self._inputs: tuple[str, ...] = ()
        self.most_samples: int | None = None
        self.listener: Callable[[WireReply], None] = lambda reply: None
        self._prefix, self._numbers = secrets.token_hex(4), itertools.count(1)

    def greet(self, channel: Channel, deadline: float) -> None:
        """Check over a new connection that the server is ready and has this model. Raises LinkError if not."""
        base = self._address.base
        self._ok(channel, WireRequest(method="GET", path=f"{base}/v2/health/ready"), deadline)
        if not self._name:
            found = self._ok(channel, WireRequest(method="POST", path=f"{base}/v2/repository/index"), deadline)
            self._name = _only_model(_json_of(found))
        found = self._ok(channel, WireRequest(method="GET", path=self._path), deadline)
        table = _json_of(found)
        inputs = table.get("inputs") if isinstance(table, dict) else None
        if not isinstance(inputs, list) or not inputs or not all(isinstance(each, dict) for each in inputs):
            raise LinkError(f"{WRONG} (metadata without inputs)")
        self._inputs = tuple(str(each.get("name", "")) for each in inputs)
        stated = table.get("parameters", {})
        self._check_facts(stated if isinstance(stated, dict) else {})

    def infer(self, link: ServerLink, samples: CloudSamples, deadline: float) -> CloudAnswers:
        """Return the answers of the server to n >= 1 samples. Raises LinkError with the reason if it has none."""
        link.wait(deadline)  # only then are the name and the inputs known
        number = f"{self._prefix}-{next(self._numbers)}"
        reply = link.request(self._request(samples, number), deadline)
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

    @property
    def _path(self) -> str:
        return f"{self._address.base}/v2/models/{quote(self._name, safe='')}"

    def _request(self, samples: CloudSamples, number: str) -> WireRequest:
        tensors: dict[str, NDArray[Any]]
        if samples.split == CLOUD_ONLY:
            own = (name for name in self._inputs if name not in (FEATURE_TENSOR, SCALE, OFFSET, LOGITS_TENSOR))
            tensors = {next(own, self._inputs[0]): samples.features}
        else:
            tensors = encode_features(samples.features, self._codec)
            if LOGITS_TENSOR in self._inputs:
                tensors[LOGITS_TENSOR] = np.ascontiguousarray(samples.earlier)
        parameters: dict[str, Parameter] = {
            MODEL_IDENTITY: self._manifest.identity,
            SPLIT_PARAMETER: samples.split,
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
        return WireRequest(method="POST", path=f"{self._path}/infer", headers=headers, body=data)

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

    def _check_facts(self, facts: Mapping[str, Any]) -> None:
        """Compare the facts in the server's metadata with the model. They may be missing."""
        try:
            self._identical(facts.get(MODEL_IDENTITY))
        except ProtocolError as error:
            raise LinkError(f"{REFUSED} ({error})") from None
        most = facts.get("max_batch")
        self.most_samples = most if isinstance(most, int) and not isinstance(most, bool) and most > 0 else None

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


def _only_model(index: Any) -> str:
    """Return the name of the server's only model. Raises LinkError for none and for several."""
    entries = index if isinstance(index, list) else []
    names = [str(each.get("name", "")) for each in entries if isinstance(each, dict)]
    if len(names) != 1 or not names[0]:
        known = shown(", ".join(names) or "no models", 200)
        raise LinkError(f"{REFUSED} (it serves {known}; name one: --remote URL/v2/models/NAME)")
    return names[0]
