"""Branches: one file for each family of structures."""

from typing import TYPE_CHECKING

from eenas.public_names import lazily

if TYPE_CHECKING:
    from eenas.branches.adapter import MapAdapter
    from eenas.branches.branch import Branch
    from eenas.branches.capsule import Capsule
    from eenas.branches.cascade import Cascade
    from eenas.branches.conv_fc import ConvFc
    from eenas.branches.conv_pool_fc import ConvPoolFc
    from eenas.branches.conv_stack import ConvStack
    from eenas.branches.fc import Fc
    from eenas.branches.learned import Learned
    from eenas.branches.learned_cell import LearnedCell
    from eenas.branches.mlp import Mlp
    from eenas.branches.pool_fc import PoolFc
    from eenas.branches.presets import PRESETS
    from eenas.branches.registry import FAMILIES, family, structures
    from eenas.branches.tokens.attention_fc import AttentionFc
    from eenas.branches.tokens.pooler_fc import PoolerFc
    from eenas.branches.tokens.token_conv import TokenConv

_HOMES = {
    "AttentionFc": "tokens.attention_fc",
    "Branch": "branch",
    "Capsule": "capsule",
    "Cascade": "cascade",
    "ConvFc": "conv_fc",
    "ConvPoolFc": "conv_pool_fc",
    "ConvStack": "conv_stack",
    "FAMILIES": "registry",
    "Fc": "fc",
    "Learned": "learned",
    "LearnedCell": "learned_cell",
    "MapAdapter": "adapter",
    "Mlp": "mlp",
    "PRESETS": "presets",
    "PoolFc": "pool_fc",
    "PoolerFc": "tokens.pooler_fc",
    "TokenConv": "tokens.token_conv",
    "family": "registry",
    "structures": "registry",
}
__all__ = [
    "FAMILIES",
    "PRESETS",
    "AttentionFc",
    "Branch",
    "Capsule",
    "Cascade",
    "ConvFc",
    "ConvPoolFc",
    "ConvStack",
    "Fc",
    "Learned",
    "LearnedCell",
    "MapAdapter",
    "Mlp",
    "PoolFc",
    "PoolerFc",
    "TokenConv",
    "family",
    "structures",
]

__getattr__, __dir__ = lazily(__name__, _HOMES)
