"""The transform of texts for exported models: the tokenizer of the network, by the library tokenizers alone."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from eenas.errors import InputError
from eenas.programs.preprocessing.preprocessing import Preprocessing, check_is_array
from eenas.tasks.text.text_bytes import text_bytes, unstacked_texts
from eenas.tasks.text.tokenization import TOKENIZER_FILE, Tokenization, canonical_tokenizer

TEXT = "text"
_MOST_IDS = 1 << 31
_MOST_TOKENS = 1 << 20
_LARGEST_FILE = 64_000_000


@dataclass(frozen=True)
class TextPreprocessing(Preprocessing):
    """Converts texts to ids, int64 [N, L], padded on the right by `pad` and truncated to `max_length` tokens.

    L is the length of the longest text, rounded up to a multiple of 8. `vocabulary`, `pad`, `length` and the SHA-256
    `tokenizer` are those of the network's transform; the tokenizer is in `folder`. Raises InputError for invalid
    numbers.
    """

    files: ClassVar[str] = "text"
    vocabulary: int
    max_length: int
    pad: int
    length: int
    tokenizer: str
    folder: Path | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        """Check the values, which may come from a damaged manifest."""
        for name, value, least, most in (
            ("vocabulary", self.vocabulary, 2, _MOST_IDS),
            ("max_length", self.max_length, 2, _MOST_TOKENS),
            ("pad", self.pad, 0, _MOST_IDS),
            ("length", self.length, 0, _MOST_TOKENS),
        ):
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
                raise InputError(f"{name} of texts must be a whole number from {least} to {most}, got {value!r:.60}")
        if self.pad >= self.vocabulary or self.length > self.max_length or not isinstance(self.tokenizer, str):
            raise InputError(f"pad must be an id, length at most max_length, and tokenizer a text, got {self!r:.200}")

    def file_endings(self) -> tuple[str, ...]:
        """See `Preprocessing.file_endings`."""
        return (".txt",)

    @property
    def shape(self) -> tuple[int]:
        """(0,): any number of tokens."""
        return (0,)

    @property
    def dtype(self) -> str:
        """Ids are "int64"."""
        return "int64"

    def opened_in(self, folder: Path) -> "TextPreprocessing":
        """With the folder of the tokenizer, which is read when it is first needed."""
        return replace(self, folder=folder)

    def prepare(self, sources: Sequence[Any]) -> NDArray[np.int64]:
        """Return the ids of texts, [N, L].

        Each source is a text (str), an array or column of texts, or the path (Path) of a file in UTF-8 with a text in
        each line. Raises InputError for any other source.
        """
        texts = [text for source in sources for text in self.texts(source)]
        if not texts:
            return np.zeros((0, self._reference), dtype=np.int64)
        return self._tokenization.batch([text_bytes(each) for each in texts])

    def texts(self, source: Any) -> list[str]:
        """Return the texts of a source: itself, those of an array or column, or the lines of a file that are not blank.

        Raises InputError for any other source.
        """
        if isinstance(source, Path):
            return _lines(source)
        if isinstance(source, str):
            return [source]
        values = source.tolist() if hasattr(source, "tolist") else None
        if isinstance(values, list) and all(isinstance(each, str) for each in values):
            return values
        raise InputError(
            f"a text must be a str, or the Path of a file of texts, got {type(source).__name__}; decode bytes, and "
            "give several texts as a list"
        )

    def is_truncated(self, text: str) -> bool:
        """Whether a text has more than `max_length` tokens, of which the network reads no more."""
        return self._tokenization.is_truncated(text_bytes(text))

    def __call__(self, samples: NDArray[Any]) -> NDArray[Any]:
        """Transform a batch of texts in UTF-8, uint8 [N, bytes]. Raises InputError for any other batch."""
        check_is_array(samples)
        if samples.dtype != np.uint8 or samples.ndim != 2:
            raise self._refused(samples)
        return self._tokenization.batch(unstacked_texts(samples))

    def checked(self, batch: NDArray[Any]) -> NDArray[Any]:
        """Return the ids of a batch from `prepare`; a uint8 batch is transformed. Raises InputError for others."""
        check_is_array(batch)
        if batch.dtype == np.uint8:
            return self(batch)
        if batch.dtype != np.int64 or batch.ndim != 2 or not 1 <= batch.shape[1] <= self.max_length:
            raise self._refused(batch)
        if batch.size and (int(batch.min()) < 0 or int(batch.max()) >= self.vocabulary):
            raise InputError(
                f"ids must be at least 0 and below {self.vocabulary}, got {int(batch.min())} to {int(batch.max())}; "
                "use the tokenizer of this model"
            )
        if len(batch) and bool((empty := (batch == self.pad).all(axis=1)).any()):
            raise InputError(f"a text must have at least one token, got none in sample {int(np.argmax(empty))}")
        return np.ascontiguousarray(batch)

    def blank(self, batch: int) -> NDArray[Any]:
        """Return a batch of `batch` texts of the reference length, of one id that is not padding."""
        return np.full((batch, self._reference), 0 if self.pad else 1, dtype=np.int64)

    @property
    def _reference(self) -> int:
        """The tokens of a reference text."""
        return self.length or min(32, self.max_length)

    @cached_property
    def _tokenization(self) -> Tokenization:
        """The tokenizer in the folder. Raises InputError if it is missing or another one."""
        if self.folder is None:
            raise InputError("this preprocessing has no tokenizer; load a model folder")
        file = self.folder / TOKENIZER_FILE
        try:
            with file.open("rb") as stream:
                text = stream.read(_LARGEST_FILE).decode()
        except (OSError, ValueError) as error:
            raise InputError(f"{str(file)[:300]}: cannot be read ({error!s:.200}); copy the whole folder") from None
        made, digest = canonical_tokenizer(text)
        if digest != self.tokenizer:
            raise InputError(f"{str(file)[:300]}: is not the tokenizer of this model; copy the whole folder")
        return Tokenization(made, self.max_length, self.pad)

    def _refused(self, got: NDArray[Any]) -> InputError:
        return InputError(
            f"a batch must be ids int64 [N, at most {self.max_length}] from preprocess, or texts as uint8 [N, bytes], "
            f"got {got.dtype} {list(got.shape)}"
        )


def _lines(path: Path) -> list[str]:
    if not path.is_file():  # a pipe would block
        raise InputError(f"{str(path)[:200]!r}: no such file; give a file with a text in each line")
    try:
        with path.open("rb") as stream:
            data = stream.read(_LARGEST_FILE + 1)
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{str(path)[:200]!r}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise InputError(f"{str(path)[:200]!r}: must be UTF-8; convert it") from None
    if len(data) > _LARGEST_FILE:
        raise InputError(f"{str(path)[:200]!r}: must have at most {_LARGEST_FILE:,} bytes; give several files")
    return [line.strip() for line in text.split("\n") if line.strip()]
