"""The transform of texts: a tokenizer that belongs to the backbone turns them into ids."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eenas.backbones.transforms.transform import Transform
from eenas.bounds import MOST_JSON, read_file
from eenas.errors import BackboneError, InputError, SpecError, TaskError
from eenas.escaping import one_line
from eenas.percent import percent
from eenas.tasks.inputs import InputSpec
from eenas.tasks.task import Task
from eenas.tasks.text.text_bytes import text_bytes, unstacked_texts
from eenas.tasks.text.text_input import text_input
from eenas.tasks.text.text_values import TextValues
from eenas.tasks.text.tokenization import (
    TOKENIZER_FILE,
    Tokenization,
    canonical_tokenizer,
    opened_tokenizer,
    padded_length,
    padding_of,
)
from eenas.tasks.text.trained_tokenizer import trained_tokenizer

KIND = "text"
_REFERENCE = 32  # tokens of a reference sample, until a task is known
_UNKNOWN = 0.05  # from this share of unknown tokens on, there is a notice


@dataclass(frozen=True)
class TextTransform(Transform):
    """Texts to ids of tokens, int64 [N, L]: padded on the right by `pad`, and truncated to `max_length` tokens.

    L is the length of the longest text of a batch, rounded up to a multiple of 8. `vocabulary` is the number of ids
    that the network takes. `tokenizer` is the SHA-256 of the tokenizer, whose JSON is `json`; without one, `fitted`
    trains one on the texts of train. `length` is that of a reference sample (0: not known yet; `fitted` takes the
    median of train, rounded up likewise).

    `TextTransform.from_file("tokenizer.json", vocabulary=30522)` reads a file of the tokenizers library.
    """

    vocabulary: int
    max_length: int
    pad: int = 0
    length: int = 0
    tokenizer: str = ""
    json: str = field(default="", repr=False, compare=False)

    def __post_init__(self) -> None:
        """Raise BackboneError for numbers that no tokenizer has."""
        if self.vocabulary < 2 or self.max_length < 2:
            raise BackboneError(
                f"vocabulary and max_length of texts are at least 2, got {self.vocabulary} and {self.max_length}"
            )
        if not 0 <= self.pad < self.vocabulary or not 0 <= self.length <= self.max_length:
            raise BackboneError(
                f"pad must be an id below {self.vocabulary} and length at most {self.max_length} tokens, got "
                f"{self.pad} and {self.length}"
            )

    @classmethod
    def from_file(
        cls, path: str | Path, *, vocabulary: int | None = None, max_length: int = 512, pad: int | None = None
    ) -> "TextTransform":
        """Return the transform with the tokenizer in a file that the tokenizers library wrote (`tokenizer.json`).

        `vocabulary` is the number of rows of the network's embedding (None: that of the tokenizer). `pad` is the id for
        padding (None: that of the file). Raises BackboneError as `from_json` does.
        """
        try:
            text = read_file(Path(path), MOST_JSON).decode()
        except (OSError, ValueError, SpecError) as error:
            raise BackboneError(f"{one_line(str(path))}: cannot be read as a tokenizer.json ({error})") from None
        try:
            return cls.from_json(text, vocabulary=vocabulary, max_length=max_length, pad=pad)
        except BackboneError as error:
            raise BackboneError(f"{one_line(str(path))}: {error}") from None

    @classmethod
    def from_json(
        cls, text: str, *, vocabulary: int | None = None, max_length: int = 512, pad: int | None = None
    ) -> "TextTransform":
        """Return the transform with a tokenizer from its JSON.

        Raises BackboneError for another text, a tokenizer without a token for padding, one with ids beyond
        `vocabulary`, and without the library tokenizers.
        """
        try:
            made, digest = canonical_tokenizer(text)
            found = padding_of(text) if pad is None else pad
            if found is None:
                opened_tokenizer(made)  # a broken one has its own error
                raise BackboneError("the tokenizer has no token for padding; give pad, an id that no text has")
            size = Tokenization(made, max_length, found).size
        except InputError as error:
            raise BackboneError(str(error)) from None
        rows = size if vocabulary is None else vocabulary
        if size > rows:
            raise BackboneError(
                f"the tokenizer has {size:,} ids, and the network takes {rows:,}: it belongs to another network; give "
                "the tokenizer that the network was trained with"
            )
        return cls(vocabulary=rows, max_length=max_length, pad=found, tokenizer=digest, json=made)

    @property
    def inputs(self) -> InputSpec:
        """Texts of any length."""
        return text_input()

    @property
    def shape(self) -> tuple[int]:
        """(tokens,) of a reference sample."""
        return (self.length or min(_REFERENCE, self.max_length),)

    @property
    def varying(self) -> tuple[int, ...]:
        """The axis of tokens."""
        return (1,)

    @property
    def padding(self) -> int:
        """The id of padding."""
        return self.pad

    @property
    def files(self) -> Mapping[str, str]:
        """The tokenizer as a file."""
        return {TOKENIZER_FILE: self.json} if self.json else {}

    def with_files(self, folder: Path) -> "TextTransform":
        """With the tokenizer in a folder. Raises BackboneError for another one than `tokenizer` says."""
        file = folder / TOKENIZER_FILE
        if self.json or not self.tokenizer:
            return self
        try:
            text, digest = canonical_tokenizer(read_file(file, MOST_JSON).decode())
        except (OSError, ValueError, SpecError, InputError) as error:
            raise BackboneError(f"{one_line(str(file))}: cannot be read ({error}); copy the whole folder") from None
        if digest != self.tokenizer:
            raise BackboneError(
                f"{one_line(str(file))}: is not the tokenizer of this network ({digest[:12]}, not "
                f"{self.tokenizer[:12]}); copy the whole folder"
            )
        return replace(self, json=text)

    def to_table(self) -> dict[str, Any]:
        """Plain data, without the JSON of the tokenizer, which is a file of its own (`files`)."""
        names = ("vocabulary", "max_length", "pad", "length", "tokenizer")
        return {"kind": KIND, **{name: getattr(self, name) for name in names}}

    def is_raw(self, batch: Tensor) -> bool:
        """Whether it holds bytes."""
        return batch.dtype == torch.uint8

    def sized(self, inputs: InputSpec) -> "TextTransform":
        """The same: texts have no size."""
        return self

    def example(self, batch: int = 2) -> Tensor:
        """Return fixed random ids [batch, *shape] in which every second sample ends in padding."""
        (length,) = self.shape
        ids = torch.randint(0, self.vocabulary - 1, (batch, length), generator=torch.Generator().manual_seed(0))
        ids += (ids >= self.pad).long()  # any id but that of padding
        if length > 1:
            ids[1::2, -max(1, length // 4) :] = self.pad
        return ids

    def fitted(self, task: Task) -> "TextTransform":
        """With a tokenizer trained on the task's texts of train, if there is none, and their median length."""
        texts = _texts(task, self.inputs)
        found = self
        if not self.tokenizer:
            made = TextTransform.from_json(
                trained_tokenizer(texts, self.vocabulary),
                vocabulary=self.vocabulary,
                max_length=self.max_length,
                pad=self.pad,
            )
            found = replace(self, tokenizer=made.tokenizer, json=made.json)
        if found.length:
            return found
        median = int(np.median([len(found._tokenization.ids(text_bytes(each))) for each in texts]))
        return replace(found, length=padded_length(median, self.max_length))

    def notices(self, task: Task) -> tuple[str, ...]:
        """Return remarks on truncated texts and unknown tokens of a task."""
        said, tokens = [], self._tokenization
        truncated = {}
        for split in task.splits:
            texts = split.samples.texts(split.rows) if isinstance(split.samples, TextValues) else []
            truncated[split.name] = sum(tokens.is_truncated(text_bytes(each)) for each in texts)
        if any(truncated.values()):
            counts = ", ".join(f"{count:,} in {name}" for name, count in truncated.items() if count)
            said.append(f"texts of more than {self.max_length} tokens are truncated: {counts}")
        share = tokens.unknown_share([text_bytes(each) for each in _texts(task, self.inputs)])
        if share > _UNKNOWN:
            said.append(
                f"the tokenizer does not know {percent(share)} of the tokens of train; does it suit these texts?"
            )
        return tuple(said)

    def __call__(self, samples: Tensor | Sequence[str]) -> Tensor:
        """Transform a batch: bytes uint8 [N, B] as a task yields them, or a list of texts.

        Raises BackboneError for other samples, a text without tokens, and without a tokenizer.
        """
        if isinstance(samples, Tensor):
            if samples.dtype != torch.uint8 or samples.ndim != 2:
                raise BackboneError(
                    "the transform takes a list of texts, or uint8 [N, bytes], got "
                    f"{samples.dtype} {list(samples.shape)}"
                )
            device, texts = samples.device, unstacked_texts(samples.cpu().numpy())
        elif isinstance(samples, str) or not all(isinstance(each, str) for each in samples):
            raise BackboneError(f"the transform takes a list of texts, got {type(samples).__name__}")
        else:
            device, texts = torch.device("cpu"), [text_bytes(each) for each in samples]
        try:
            return torch.from_numpy(self._ids(texts)).to(device)
        except InputError as error:
            raise BackboneError(str(error)) from None

    def _ids(self, texts: Sequence[bytes]) -> NDArray[np.int64]:
        return self._tokenization.batch(texts)

    @cached_property
    def _tokenization(self) -> Tokenization:
        if not self.json:
            fix = "copy tokenizer.json into the folder" if self.tokenizer else "call fitted(task), which trains one"
            raise BackboneError(f"this transform of texts has no tokenizer; {fix}")
        try:
            return Tokenization(self.json, self.max_length, self.pad)
        except InputError as error:
            raise BackboneError(str(error)) from None


def with_max_length(transform: Transform, max_length: int, label: str) -> TextTransform:
    """Return a transform of texts that truncates to `max_length`.

    Raises BackboneError for one of other samples, and for more tokens than the network takes.
    """
    if not isinstance(transform, TextTransform):
        raise BackboneError(f"{label}: backbone.max_length is for texts, and it takes {transform.inputs}; leave it out")
    if max_length > transform.max_length:
        raise BackboneError(
            f"{label}: takes at most {transform.max_length} tokens, got backbone.max_length = {max_length}; lower it"
        )
    return replace(transform, max_length=max_length, length=min(transform.length, max_length))


def _texts(task: Task, inputs: InputSpec) -> list[str]:
    """Return the texts of a task's train split. Raises TaskError for samples of another kind."""
    samples = task.train.samples
    if not isinstance(samples, TextValues):
        raise TaskError(f"{task.name}: the backbone takes {inputs}, and the samples are {task.inputs}")
    return samples.texts(task.train.rows)
