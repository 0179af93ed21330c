"""The effect of each codec and compression at a split: bytes of a sample, and answers that change."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eenas.errors import InputError
from eenas.programs.remote.content_encoding import compressed_body, installed_encodings
from eenas.programs.remote.edge_segments import JoinedSegment, Tail
from eenas.programs.remote.feature_codec import CODECS, decode_features, encode_features
from eenas.programs.remote.open_inference import InferenceRequest, encode_inference_request
from eenas.programs.runtime import ExportedModel
from eenas.programs.segments import Array, Segment
from eenas.tier_names import codec_fault

_BATCH = 32


@dataclass(frozen=True, kw_only=True)
class CodecEffect:
    """A `codec` with a `compression`, measured on the samples that are sent.

    `bytes_sent` is the mean size of a sample in a request of 32. `agreement` is the share of all samples with the same
    answer as without a codec, `accuracy` their share of right answers, or None without labels.
    """

    codec: str
    compression: str
    bytes_sent: float
    agreement: float
    accuracy: float | None


def codec_effects(
    model: ExportedModel,
    exits: int,
    inputs: NDArray[np.float32],
    *,
    labels: NDArray[np.int64] | None = None,
    tail: Tail | None = None,
    carried: int = 0,
) -> tuple[CodecEffect, ...]:
    """Return the effects at the split behind the first `exits` exits of a whole model on inputs [N, ...].

    With `tail`, a program from the last of these exits to a split between two exits, the segment behind it starts at
    the split. Codecs that would change the `carried` columns there are left out. Raises InputError without samples, and
    for a model whose samples all leave before the split.
    """
    if len(inputs) == 0:
        raise InputError("the effect of a codec is measured on samples, got none; give some")
    segments, found = list(model.segments), []
    if tail is not None:
        segments[exits] = JoinedSegment(tail, segments[exits])
    plain = _answers(model, segments, inputs)
    for codec in (each for each in CODECS if not codec_fault(each, carried)):
        sent: list[Array] = []
        segments = list(model.segments)
        segments[exits] = _Coded(segments[exits], codec, sent, tail)
        answers = _answers(model, segments, inputs)
        if not sent:
            raise InputError("all samples leave before the split, so nothing is sent; split at an earlier cut point")
        agreement = float((answers == plain).mean())
        accuracy = None if labels is None else float((answers == labels).mean())
        bodies = [encode_inference_request(InferenceRequest(inputs=encode_features(each, codec))).data for each in sent]
        for compression in ("none", *installed_encodings()):
            size = sum(len(body if compression == "none" else compressed_body(body, compression)) for body in bodies)
            found.append(
                CodecEffect(
                    codec=codec,
                    compression=compression,
                    bytes_sent=size / sum(map(len, sent)),
                    agreement=agreement,
                    accuracy=accuracy,
                )
            )
    return tuple(found)


class _Coded:
    """The first segment behind a split, whose features pass through a codec; see `Segment`."""

    def __init__(self, segment: Segment, codec: str, sent: list[Array], tail: Tail | None) -> None:
        self._segment, self._codec, self._sent, self._tail = segment, codec, sent, tail

    def __call__(self, x: Array, previous: Array | None) -> tuple[Array | None, Array]:
        x = x if self._tail is None else self._tail(x)
        self._sent.append(x)
        return self._segment(decode_features(encode_features(x, self._codec)), previous)


def _answers(model: ExportedModel, segments: Sequence[Segment], inputs: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the classes that a model with these segments answers."""
    coded = ExportedModel(model.manifest, tuple(segments))
    if model.policy is not None:
        coded.set_policy(model.policy)
    parts = [coded.predict(inputs[start : start + _BATCH]).classes for start in range(0, len(inputs), _BATCH)]
    return np.concatenate(parts)
