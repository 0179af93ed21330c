"""A kind of input for tests: int64 ids of tokens [N, L] with padding, a task of them, and a network with a mask."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from eenas.backbones import CarryingModule, Transform
from eenas.errors import InputError
from eenas.programs import Preprocessing
from eenas.tasks import Axis, InputKind, InputSpec, Samples, Task, TensorSpec, assemble

KIND = "tests.token_sets:TOKENS"
PAD, MOST, WORDS = 1, 24, 40
INPUTS = InputSpec(kind=KIND, tensors=(("ids", TensorSpec("int64", (Axis("token", None),))),))


def padded(texts: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    found = np.full((len(texts), max(map(len, texts), default=1)), PAD, dtype=np.int64)
    for row, text in zip(found, texts, strict=True):
        row[: len(text)] = text
    return found


class TokenSets(Samples):
    """Texts, each an array [L] of ids."""

    def __init__(self, texts: Sequence[NDArray[np.int64]]) -> None:
        self.texts = texts
        self.digest = hashlib.sha256(b"".join(each.tobytes() for each in texts)).hexdigest()[:16]

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def inputs(self) -> InputSpec:
        return INPUTS

    @property
    def names(self) -> Sequence[str]:
        return [f"text {number}" for number in range(len(self))]

    def digests(self) -> NDArray[np.uint64]:
        found = [hashlib.sha256(each.tobytes()).digest()[:8] for each in self.texts]
        return np.frombuffer(b"".join(found), dtype="<u8").astype(np.uint64)

    def reader(self, rows: NDArray[np.int64], inputs: InputSpec) -> "TokenReader":
        assert inputs.kind == KIND
        return TokenReader([self.texts[row] for row in rows])


class TokenReader:
    def __init__(self, texts: Sequence[NDArray[np.int64]]) -> None:
        self.texts = texts

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, indices: NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(padded([self.texts[index] for index in indices]))


@dataclass(frozen=True, kw_only=True)
class TokenTransform(Transform):
    length: int = 12

    @property
    def inputs(self) -> InputSpec:
        return INPUTS

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.length,)

    @property
    def varying(self) -> tuple[int, ...]:
        return (1,)

    @property
    def padding(self) -> int:
        return PAD

    def example(self, batch: int = 2) -> Tensor:
        generator = torch.Generator().manual_seed(0)
        return torch.randint(2, WORDS, (batch, self.length), generator=generator)

    def __call__(self, samples: Tensor) -> Tensor:
        return samples

    def is_raw(self, batch: Tensor) -> bool:
        return False

    def fitted(self, task: Task) -> "TokenTransform":
        return self

    def to_table(self) -> dict[str, Any]:
        return {"kind": KIND, **asdict(self)}


@dataclass(frozen=True, kw_only=True)
class TokenPreprocessing(Preprocessing):
    length: int = 12

    @property
    def shape(self) -> tuple[int, ...]:
        return (0,)

    @property
    def dtype(self) -> str:
        return "int64"

    def prepare(self, sources: Sequence[Any]) -> NDArray[np.int64]:
        return padded([np.asarray(source, dtype=np.int64) for source in sources])

    def __call__(self, samples: NDArray[Any]) -> NDArray[np.int64]:
        return self.checked(samples)

    def checked(self, batch: NDArray[Any]) -> NDArray[np.int64]:
        if batch.dtype != np.int64 or batch.ndim != 2 or not 0 < batch.shape[1] <= MOST:
            raise InputError(f"a batch must be int64 [N, 1 to {MOST}], got {batch.dtype} {list(batch.shape)}")
        return batch


TOKENS = InputKind(transform=TokenTransform, preprocessing=TokenPreprocessing)


class Mask(nn.Module):
    def forward(self, ids: Tensor) -> Tensor:
        return (ids != PAD).float().unsqueeze(2)


class TokenNet(CarryingModule):
    """Embeddings and transformer layers with a key padding mask; the classifier reads the first token or the mean."""

    def __init__(self, num_classes: int = 3, *, width: int = 16, layers: int = 3, first: bool = False) -> None:
        super().__init__()
        self.carry, self.first = Mask(), first
        self.words = nn.Embedding(WORDS, width)
        self.places = nn.Embedding(MOST, width)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, 2, 2 * width, batch_first=True) for _ in range(layers)
        )
        self.head = nn.Linear(width, num_classes)
        self.eenas_transform = TokenTransform()

    def forward(self, ids: Tensor) -> Tensor:
        mask = self.carry(ids)
        x = self.words(ids) + self.places(torch.arange(ids.shape[1], device=ids.device))
        for layer in self.layers:
            x = layer(x, src_key_padding_mask=mask[:, :, 0] < 0.5)
        found: Tensor = self.head(x[:, 0] if self.first else (x * mask).sum(dim=1) / mask.sum(dim=1))
        return found


def token_task(count: int = 240) -> Task:
    """Texts of 3 to 20 tokens; the class is that of the words that most of them come from."""
    generator = np.random.default_rng(0)
    labels = np.arange(count) % 3
    texts = [generator.integers(2 + 10 * label, 20 + 10 * label, generator.integers(3, 21)) for label in labels]
    return assemble("tokens", ("a", "b", "c"), {"train": (TokenSets(texts), labels)})


def token_net(num_classes: int = 3) -> TokenNet:
    """The same network every time."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return TokenNet(num_classes)
