"""Backbones of Hugging Face transformers: classifiers of texts, and encoders with a new classifier."""

import json
import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from torch import Tensor, nn

from eenas.backbones.carried import CarryingModule
from eenas.backbones.models.hf_weights import WEIGHTS, holds_weights, loaded_model
from eenas.backbones.models.shared_layers import with_runs
from eenas.backbones.models.token_mask import TokenMask, mean_of_tokens
from eenas.backbones.transforms.text_transform import TextTransform
from eenas.bounds import MOST_JSON, read_file, shortened_error
from eenas.errors import BackboneError, SpecError, WeightsError
from eenas.escaping import shortened
from eenas.tasks.text.tokenization import TOKENIZER_FILE

Head = Literal["own", "mean", "cls"]
CONFIG_FILE = "config.json"
HEAD_KEY = "eenas_head"
"""The key in a configuration that says which classifier a network of eenas has; see `HfParts`."""
_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?(@[\w./-]+)?")
_MOST_TOKENS = 512  # if neither the configuration nor the tokenizer has a limit


@dataclass(frozen=True)
class HfWish:
    """What is asked of a backbone of transformers: number of classes, limit and reference length in tokens (or None).

    `needs_weights` refuses a folder without weights. `relative_to` is where a relative folder is looked up first.
    """

    num_classes: int
    max_length: int | None = None
    length: int | None = None
    needs_weights: bool = False
    trust_code: bool = False
    relative_to: Path | None = None


@dataclass(frozen=True, eq=False)
class HfParts:
    """A network of transformers: the module, its transform, and what of it is untrained.

    `fresh` tells whether the classifier is untrained, `untrained` whether all of it is.
    """

    module: CarryingModule
    transform: TextTransform
    fresh: bool
    untrained: bool


class HfClassifier(CarryingModule):
    """A sequence classifier of transformers that takes ids [N, L] and gives logits [N, classes]."""

    def __init__(self, model: nn.Module, pad: int, files: Mapping[str, str]) -> None:
        super().__init__()
        self.carry, self.model = TokenMask(pad), model
        self.folder_files = dict(files)

    def forward(self, ids: Tensor) -> Tensor:
        """Logits [N, classes]."""
        logits: Tensor = self.model(input_ids=ids, attention_mask=self.carry(ids).squeeze(-1)).logits
        return logits


class HfEncoder(CarryingModule):
    """An encoder of transformers, the mean over its tokens or its first token, and a linear classifier."""

    def __init__(self, encoder: nn.Module, pad: int, head: Head, num_classes: int, files: Mapping[str, str]) -> None:
        super().__init__()
        config: Any = encoder.config
        self.carry, self.encoder, self.head = TokenMask(pad), encoder, head
        self.dropout = nn.Dropout(float(getattr(config, "hidden_dropout_prob", None) or 0.0))
        self.linear = nn.Linear(int(config.hidden_size), num_classes)
        self.folder_files = dict(files)

    def forward(self, ids: Tensor) -> Tensor:
        """Logits [N, classes]."""
        mask = self.carry(ids)
        tokens = self.encoder(input_ids=ids, attention_mask=mask.squeeze(-1)).last_hidden_state
        pooled = mean_of_tokens(tokens, mask) if self.head == "mean" else tokens[:, 0]
        logits: Tensor = self.linear(self.dropout(pooled))
        return logits


def build_hf(name: str, wish: HfWish) -> HfParts:
    """Return the network of a folder, or of a name on the Hugging Face Hub; `name` has no prefix `hf:`.

    A folder holds `config.json`, `tokenizer.json`, and weights as safetensors; without weights the network is
    untrained. A classifier of texts keeps its classifier if it has as many classes. A folder of sentence-transformers
    gets a linear classifier on its pooling, and another encoder the classifier that transformers gives it. Python code
    in a folder runs only with `trust_code`.

    Raises BackboneError for a folder without network or tokenizer and for a tokenizer of another network, WeightsError
    for weights in other files, and BackboneError without the extra `text`.
    """
    label = f"hf:{name}"
    try:
        import transformers
    except ImportError:
        raise BackboneError(
            f"{label}: is built by transformers, which is not installed; pip install 'eenas[text]'"
        ) from None
    place, options = _place(name, wish)
    options |= {"trust_remote_code": wish.trust_code}
    with _quiet(), _refused(label, wish):
        config = transformers.AutoConfig.from_pretrained(place, **options)
        text, pad = _tokenizer(place, options, config)
    has_weights = holds_weights(place, label)
    if wish.needs_weights and not has_weights:
        raise WeightsError(
            f"{label}: has no weights ({' or '.join(WEIGHTS)}); leave --weights out to train from scratch"
        )
    try:
        transform = TextTransform.from_json(
            text, vocabulary=_vocabulary(config), max_length=_limit(place, config, wish), pad=pad
        )
    except BackboneError as error:
        raise BackboneError(f"{label}: {error}") from None
    transform = replace(transform, length=min(wish.length or 0, transform.max_length))
    head, fresh = _head(place, config, wish.num_classes)
    config.num_labels = wish.num_classes
    if getattr(config, "pad_token_id", None) is None:
        config.pad_token_id = transform.pad  # decoders find the last token by it
    files = {CONFIG_FILE: json.dumps({**config.to_dict(), HEAD_KEY: head}, indent=2, default=str) + "\n"}
    with _quiet(), _refused(label, wish):
        kind = transformers.AutoModelForSequenceClassification if head == "own" else transformers.AutoModel
        found, is_complete = loaded_model(kind, config, place if has_weights else None, options)
        model = with_runs(found)
    module: CarryingModule
    if head == "own":
        module = HfClassifier(model, transform.pad, files)
    else:
        if hasattr(model, "pooler"):
            model.pooler = None
        module = HfEncoder(model, transform.pad, head, wish.num_classes, files)
    return HfParts(module.float(), transform, fresh=fresh or not is_complete, untrained=not has_weights)


def _place(name: str, wish: HfWish) -> tuple[str, dict[str, Any]]:
    """Return the folder, or the name on the hub, and the options to load it with."""
    path = Path(os.path.expanduser(name))
    for folder in ((wish.relative_to or Path()) / path, path):
        if os.path.isdir(folder):
            if not (folder / CONFIG_FILE).is_file():
                raise BackboneError(f"hf:{name}: the folder has no {CONFIG_FILE}; give a folder of transformers")
            return str(folder), {"local_files_only": True}
    if not _NAME.fullmatch(name):
        raise BackboneError(f"hf:{shortened(name)}: no such folder; give a folder, or NAME or OWNER/NAME of the hub")
    bare, _, revision = name.partition("@")
    return bare, {"revision": revision} if revision else {}


def _tokenizer(place: str, options: Mapping[str, Any], config: Any) -> tuple[str, int | None]:
    """Return the JSON of the tokenizer, and the id of padding if it is known beside it."""
    pad = getattr(config, "pad_token_id", None)
    file = Path(place) / TOKENIZER_FILE
    if file.is_file():
        return read_file(file, MOST_JSON).decode(), pad
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(place, use_fast=True, **options)
    if getattr(tokenizer, "backend_tokenizer", None) is None:
        raise BackboneError(f"its tokenizer {type(tokenizer).__name__} has no {TOKENIZER_FILE}; save a fast tokenizer")
    if set(tokenizer.get_vocab()) <= set(tokenizer.all_special_tokens):  # transformers makes one up without any file
        raise BackboneError(f"there is no tokenizer; add the {TOKENIZER_FILE} that the network was trained with")
    return tokenizer.backend_tokenizer.to_str(), pad if tokenizer.pad_token_id is None else tokenizer.pad_token_id


def _vocabulary(config: Any) -> int:
    """Return the number of ids that the network takes. Raises BackboneError for a network of other inputs."""
    size = getattr(config, "vocab_size", None)
    if not isinstance(size, int):
        raise BackboneError(
            f"its configuration ({shortened(config.model_type)}) has no vocab_size, so it takes no texts; give a "
            "classifier or an encoder of texts"
        )
    return size


def _limit(place: str, config: Any, wish: HfWish) -> int:
    """Return the most tokens that network and tokenizer take. Raises BackboneError if more are asked for."""
    stated = [getattr(config, name, None) for name in ("max_position_embeddings", "n_positions")]
    limits = [size for size in stated if isinstance(size, int) and size >= 2]
    if "roberta" in str(config.model_type) and limits:  # its positions begin behind that of padding
        limits = [size - 1 - int(config.pad_token_id or 0) for size in limits]
    most = min(limits, default=None)
    if wish.max_length is not None:
        if most is not None and wish.max_length > most:
            raise BackboneError(f"takes at most {most} tokens, got backbone.max_length = {wish.max_length}")
        return wish.max_length
    for file, key in (("tokenizer_config.json", "model_max_length"), ("sentence_bert_config.json", "max_seq_length")):
        size = _json(Path(place) / file).get(key)
        if isinstance(size, int) and 2 <= size < 1 << 20:
            limits.append(size)
    return min(limits, default=_MOST_TOKENS)


def _head(place: str, config: Any, num_classes: int) -> tuple[Head, bool]:
    """Return the classifier of a network, and whether it is untrained; see `build_hf`."""
    from transformers import AutoModelForSequenceClassification

    stated = getattr(config, HEAD_KEY, None)
    if stated in ("own", "mean", "cls"):
        return stated, True
    is_classifier = any("ForSequenceClassification" in str(name) for name in config.architectures or ())
    if is_classifier:
        return "own", config.num_labels != num_classes
    pooling = _json(Path(place) / "1_Pooling" / CONFIG_FILE)
    if pooling:
        return ("cls" if pooling.get("pooling_mode_cls_token") else "mean"), True
    known = type(config) in AutoModelForSequenceClassification._model_mapping
    return ("own" if known else "mean"), True


def _json(file: Path) -> dict[str, Any]:
    """Return the table in a small JSON file; {} if there is none."""
    try:
        table = json.loads(read_file(file, MOST_JSON))
    except (OSError, ValueError, SpecError):
        return {}
    return table if isinstance(table, dict) else {}


@contextmanager
def _refused(label: str, wish: HfWish) -> Iterator[None]:
    """Convert the errors of transformers to a BackboneError that names the backbone."""
    try:
        yield
    except (BackboneError, WeightsError) as error:
        raise type(error)(f"{label}: {error}") from None
    except Exception as error:  # transformers and the hub raise many types
        text = shortened_error(error)
        if "trust_remote_code" in str(error) and not wish.trust_code:
            text, fix = "it is Python code of its authors", "pass trust_code=True (--trust-code) if you trust it"
        else:
            fix = "give a folder that save_pretrained wrote, or check the name and the connection"
        raise BackboneError(f"{label}: transformers cannot load it ({text}); {fix}") from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence messages and bars of transformers and the hub while a model is built; failures still raise."""
    messages: Any = import_module("transformers.utils.logging")
    loggers = [logging.getLogger(name) for name in ("transformers", "huggingface_hub")]
    levels, bars = [logger.level for logger in loggers], messages.is_progress_bar_enabled()
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    messages.disable_progress_bar()
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if bars:
            messages.enable_progress_bar()
