"""The networks that `networks.py` tries: models of timm and torchvision by size of input, and styles of own modules."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Named:
    """A network by its name, with the side of its input in pixels and its channels."""

    name: str
    size: int
    channels: int = 3

    @property
    def kind(self) -> Literal["timm", "torchvision", "own module"]:
        """Where it comes from."""
        if self.name.startswith("torchvision:"):
            return "torchvision"
        return "own module" if ":" in self.name else "timm"


_TIMM = {
    32: """
        resnet18 resnet50d seresnet50 skresnet18 resnext50_32x4d res2net50_26w_4s resnetv2_50 mobilenetv2_050
        mobilenetv3_small_050 mobilenetv4_conv_small efficientnet_b0 mnasnet_small hardcorenas_a lcnet_050 mixnet_s
        rexnet_100 ghostnet_050 regnety_002 densenet121 convnext_atto inception_next_atto convmixer_768_32 repvgg_a0
        nf_regnet_b0 nfnet_l0 cspresnet50 dla34 dla46_c ese_vovnet19b_dw mobileone_s0 hgnetv2_b0 mambaout_femto
        starnet_s1
    """,
    64: """
        hrnet_w18_small xception41 poolformer_s12 edgenext_xx_small fastvit_t8 mobilevit_xxs mobilevitv2_050
        efficientvit_b0 pvt_v2_b0 twins_pcpvt_small focalnet_tiny_srf hiera_tiny_224 vit_tiny_patch16_224
        deit_tiny_distilled_patch16_224 vit_medium_patch16_reg1_gap_256 cait_xxs24_224 xcit_nano_12_p16_224
        beit_base_patch16_224 mixer_s32_224 resmlp_12_224 gmlp_ti16_224 convit_tiny efficientformerv2_s0 sequencer2d_s
        volo_d1_224 pit_ti_224 levit_128s efficientvit_m0
    """,
    70: "eva02_tiny_patch14_224",
    96: "inception_v4",
    112: "swin_tiny_patch4_window7_224",
    128: "coatnet_pico_rw_224 maxvit_rmlp_pico_rw_256 tiny_vit_5m_224",
    224: "efficientformer_l1",
    256: "halonet26t",
}
_TORCHVISION = {
    32: "resnet18 mobilenet_v3_small efficientnet_b0 shufflenet_v2_x0_5 mnasnet0_5 regnet_y_400mf",
    64: "squeezenet1_1 vgg11_bn convnext_tiny densenet121 googlenet swin_t vit_b_32",
    96: "inception_v3",
}


def _named() -> tuple[Named, ...]:
    found = [Named(name, size) for size, names in _TIMM.items() for name in names.split()]
    found += [Named(f"torchvision:{name}", size) for size, names in _TORCHVISION.items() for name in names.split()]
    return (*found, Named("vit_tiny_patch16_224.augreg_in21k", 64, 4), Named("torchvision:mobilenet_v2", 32, 5))


MODELS = _named()
_STYLES = (
    "HeadFirst Containers nested Functional Shared Looped Hooked FrozenStem Lazy Tupled Objects Dicts FiveDimensions "
    "Softmax LogSoftmax Rows Normed Custom InPlace Patches Groups"
)
STYLES = (*(Named(f"./styles.py:{name}", 32) for name in _STYLES.split()), Named("./styles.py:grey", 32, 1))
