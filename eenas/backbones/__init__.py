"""Backbones: named networks, their weights, transforms, cut points and chains."""

from typing import TYPE_CHECKING

from eenas.public_names import lazily

if TYPE_CHECKING:
    from eenas.backbones.carried import CarryingModule
    from eenas.backbones.chain import Chain
    from eenas.backbones.cut_points import CutPoint
    from eenas.backbones.features import FeatureShape
    from eenas.backbones.load import Backbone, BackboneSpec, load_backbone
    from eenas.backbones.models.names import backbone_names
    from eenas.backbones.models.shared_layers import RunEnd
    from eenas.backbones.models.token_mask import TokenMask
    from eenas.backbones.transforms.image_transform import InputTransform
    from eenas.backbones.transforms.text_transform import TextTransform
    from eenas.backbones.transforms.transform import Transform

_HOMES = {
    "Backbone": "load",
    "BackboneSpec": "load",
    "CarryingModule": "carried",
    "Chain": "chain",
    "CutPoint": "cut_points",
    "FeatureShape": "features",
    "InputTransform": "transforms.image_transform",
    "RunEnd": "models.shared_layers",
    "TextTransform": "transforms.text_transform",
    "TokenMask": "models.token_mask",
    "Transform": "transforms.transform",
    "backbone_names": "models.names",
    "load_backbone": "load",
}
__all__ = [
    "Backbone",
    "BackboneSpec",
    "CarryingModule",
    "Chain",
    "CutPoint",
    "FeatureShape",
    "InputTransform",
    "RunEnd",
    "TextTransform",
    "TokenMask",
    "Transform",
    "backbone_names",
    "load_backbone",
]

__getattr__, __dir__ = lazily(__name__, _HOMES)
