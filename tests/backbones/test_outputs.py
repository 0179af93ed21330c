"""What a network returns, in all its forms, and the logits that are read of it."""

from collections import namedtuple
from types import SimpleNamespace

import pytest
import torch

from eenas.backbones.outputs import main_output
from eenas.errors import CutError

LOGITS, OTHER = torch.zeros(2, 4), torch.ones(2, 7)
Parts = namedtuple("Parts", ["logits", "aux"])


@pytest.mark.parametrize(
    "output",
    [
        LOGITS,
        (LOGITS, OTHER),
        [LOGITS],
        (None, "text", 3, LOGITS),
        (torch.zeros(2, dtype=torch.int64), LOGITS),
        ((None, LOGITS), OTHER),
        Parts(LOGITS, OTHER),
        {"features": OTHER, "logits": LOGITS},
        {"main": LOGITS, "aux": OTHER},
        {"loss": None, "out": LOGITS},
        SimpleNamespace(loss=None, logits=LOGITS),
    ],
)
def test_logits_are_read(output: object) -> None:
    assert main_output(output) is LOGITS


@pytest.mark.parametrize("output", ["logits", None, (), {}, (None, 3), torch.zeros(2, dtype=torch.int64)])
def test_no_logits(output: object) -> None:
    with pytest.raises(CutError, match="returns a tensor of logits, or a tuple, dict or object that holds one"):
        main_output(output)
