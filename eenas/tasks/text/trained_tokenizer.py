"""A tokenizer trained on texts: pieces of words as bytes, so that no text has unknown tokens."""

from collections.abc import Sequence

from eenas.errors import TaskError

PAD, START = "[PAD]", "[CLS]"
"""The tokens with the ids 0 and 1: padding, and the class token before every text."""


def trained_tokenizer(texts: Sequence[str], size: int) -> str:
    """Return the JSON of a byte-level BPE tokenizer with at most `size` tokens, trained on `texts`.

    Texts are normalised (NFKC) and lowercased. The same texts give the same tokenizer. See Sennrich et al. 2016
    ("Neural machine translation of rare words with subword units"), and Radford et al. 2019 for bytes.

    Raises TaskError without the extra `text`.
    """
    try:
        from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    except ImportError:
        raise TaskError(
            "the texts need a tokenizer, which the package tokenizers trains; pip install 'eenas[text]'"
        ) from None
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=2,
        special_tokens=[PAD, START],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A", pair=f"{START} $A $B", special_tokens=[(START, 1)]
    )
    made: str = tokenizer.to_str()
    return made
