"""The texts of one source, held in memory."""

import hashlib
from collections.abc import Sequence
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eenas.errors import TaskError
from eenas.tasks.inputs import InputSpec
from eenas.tasks.samples import Samples
from eenas.tasks.text.text_bytes import stacked_texts, text_bytes
from eenas.tasks.text.text_input import text_input


@final
class TextValues(Samples):
    """Texts of one source in the order of its labels. `name` is used in messages."""

    def __init__(self, texts: Sequence[str], name: str = "train_x") -> None:
        self._texts, self._name = [text_bytes(each) for each in texts], name
        state = hashlib.sha256()
        for each in self._texts:
            state.update(len(each).to_bytes(8, "little") + each)
        self.digest = state.hexdigest()[:16]

    def __len__(self) -> int:
        return len(self._texts)

    @property
    def inputs(self) -> InputSpec:
        """The spec of texts."""
        return text_input()

    @property
    def names(self) -> Sequence[str]:
        """The name of the source and the position in it."""
        return [f"{self._name}[{row}]" for row in range(len(self))]

    def digests(self) -> NDArray[np.uint64]:
        """Return a 64-bit digest of each text, [n]."""
        found = [hashlib.sha256(each).digest()[:8] for each in self._texts]
        return np.frombuffer(b"".join(found), dtype="<u8").astype(np.uint64)

    def texts(self, rows: NDArray[np.int64]) -> list[str]:
        """Return the texts at `rows`."""
        return [self._texts[row].decode() for row in rows]

    def reader(self, rows: NDArray[np.int64], inputs: InputSpec) -> "TextReader":
        """Return a reader of the texts at `rows`.

        Raises TaskError for another kind of input.
        """
        if inputs.kind != "text":
            raise TaskError(f"the samples are {self.inputs}, but the network takes {inputs}; give data of that kind")
        return TextReader(self._texts, rows)


@final
class TextReader:
    """The texts of a split, in the order of its labels."""

    def __init__(self, texts: Sequence[bytes], rows: NDArray[np.int64]) -> None:
        self._texts, self._rows = texts, np.array(rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, indices: NDArray[np.int64]) -> Tensor:
        """Return the texts at positions `indices` [n] of the split as a batch of `stacked_texts`."""
        return torch.from_numpy(stacked_texts([self._texts[row] for row in self._rows[np.asarray(indices)]]))
