"""Tokenization of batches of texts by the `tokenizers` library: ids, padding, truncation, and a cache of the ids."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eenas.errors import InputError

TOKENIZER_FILE = "tokenizer.json"
"""The file of a tokenizer in a folder."""
MULTIPLE = 8
"""Batches are padded to a multiple of so many tokens, so that few lengths occur."""
_MOST_KEPT = 200_000  # texts in the cache
_MOST_BYTES = 1 << 28  # of these texts


class Tokenization:
    """Converts texts to ids by a tokenizer, as in training and at run time.

    Ids are int64 [N, L], padded on the right by `pad` to the longest text, rounded up to MULTIPLE, at most
    `max_length`. Longer texts are truncated as the tokenizer prescribes. The ids of a text are kept.
    """

    def __init__(self, tokenizer: str, max_length: int, pad: int) -> None:
        """`tokenizer` is the JSON of a tokenizer. Raises InputError for another text, or without `tokenizers`."""
        self._tokenizer = opened_tokenizer(tokenizer)
        self._tokenizer.no_padding()
        try:
            self._tokenizer.enable_truncation(max_length)
        except Exception as error:  # tokenizers raises plain exceptions, here for a length below its special tokens
            raise InputError(f"max_length {max_length} is too short for this tokenizer ({error}); set more") from None
        self.max_length, self.pad = max_length, pad
        self._kept: dict[bytes, NDArray[np.int64]] = {}
        self._truncated: set[bytes] = set()  # of the texts in the cache
        self._bytes = 0  # of the texts in the cache

    @property
    def size(self) -> int:
        """One more than the largest id."""
        return 1 + max(self._tokenizer.get_vocab().values(), default=-1)

    def ids(self, text: bytes) -> NDArray[np.int64]:
        """Return the ids of one text in UTF-8. Raises InputError for a text without tokens."""
        found = self._kept.get(text)
        if found is not None:
            return found
        encoding = self._tokenizer.encode(text.decode("utf-8", "replace"))
        found = np.array(encoding.ids, dtype=np.int64)
        if not len(found):
            raise InputError(f"a text must have at least one token, got {text[:60]!r}; give another text")
        self._bytes += len(text)
        if len(self._kept) >= _MOST_KEPT or self._bytes > _MOST_BYTES:
            self._kept.clear()
            self._truncated.clear()
            self._bytes = len(text)
        self._kept[text] = found
        if encoding.overflowing:
            self._truncated.add(text)
        return found

    def is_truncated(self, text: bytes) -> bool:
        """Whether a text in UTF-8 has more than `max_length` tokens."""
        self.ids(text)
        return text in self._truncated

    def unknown_share(self, texts: Sequence[bytes]) -> float:
        """Return the share of the tokens of texts that the tokenizer does not know, in [0, 1]."""
        token = getattr(self._tokenizer.model, "unk_token", None)
        unknown = None if token is None else self._tokenizer.token_to_id(token)
        found = [self.ids(each) for each in texts]
        total = sum(len(each) for each in found)
        return 0.0 if unknown is None else sum(int((each == unknown).sum()) for each in found) / max(total, 1)

    def batch(self, texts: Sequence[bytes]) -> NDArray[np.int64]:
        """Return the ids of texts in UTF-8, [N, L]."""
        rows = [self.ids(each) for each in texts]
        longest = max((len(each) for each in rows), default=1)
        found = np.full((len(rows), padded_length(longest, self.max_length)), self.pad, dtype=np.int64)
        for row, ids in zip(found, rows, strict=True):
            row[: len(ids)] = ids
        return found


def padded_length(longest: int, max_length: int) -> int:
    """Return the number of tokens to which a batch with a text of `longest` tokens is padded."""
    return min(-(-longest // MULTIPLE) * MULTIPLE, max_length)


def canonical_tokenizer(text: str) -> tuple[str, str]:
    """Return the JSON of a tokenizer without its own padding and truncation, and its SHA-256 in hexadecimal.

    Raises InputError for other texts.
    """
    try:
        table = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"a tokenizer is JSON of the tokenizers library, got other text ({str(error)[:100]})"
        ) from None
    if not isinstance(table, dict) or not isinstance(table.get("model"), dict):
        raise InputError(
            "a tokenizer is JSON of the tokenizers library, got a table without 'model'; see tokenizer.json"
        )
    table = {**table, "truncation": None, "padding": None}
    made = json.dumps(table, ensure_ascii=False, separators=(",", ":"))
    return made, hashlib.sha256(made.encode("utf-8", "surrogatepass")).hexdigest()


def padding_of(text: str) -> int | None:
    """Return the id of padding in the JSON of a tokenizer: its own, or that of the usual tokens; None without one."""
    table = json.loads(text)
    if isinstance(padding := table.get("padding"), dict) and isinstance(padding.get("pad_id"), int):
        return int(padding["pad_id"])
    tokens = table.get("added_tokens")
    pairs = [
        (each.get("content"), each.get("id"))
        for each in (tokens if isinstance(tokens, list) else ())
        if isinstance(each, dict)
    ]
    added = {content: number for content, number in pairs if isinstance(content, str) and isinstance(number, int)}
    return next((added[token] for token in ("[PAD]", "<pad>", "<|pad|>") if token in added), None)


def opened_tokenizer(text: str) -> Any:
    """Return the `tokenizers.Tokenizer` of a JSON text. Raises InputError for other texts and without the library."""
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise InputError("texts are tokenized by tokenizers, which is not installed; pip install tokenizers") from None
    try:
        return Tokenizer.from_str(text)
    except Exception as error:  # tokenizers raises plain exceptions
        reason = str(error).partition("\n")[0][:200]
        raise InputError(
            f"tokenizers cannot read this tokenizer ({reason}); give a tokenizer.json that it wrote"
        ) from None
