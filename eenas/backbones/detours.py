"""Cut points that values go round: found in the exported graph, where the autograd graph does not show them."""

from torch import Tensor, nn

from eenas.backbones.chain import plain_inference
from eenas.backbones.copies import copy_of
from eenas.backbones.cut_points import BY_HAND, CutPoint, enlarged, find_candidates, place_like
from eenas.backbones.exported import DETOUR, cuttable
from eenas.errors import CutError
from eenas.progress import Listener, Notice


def cut_points_of(module: nn.Module, example: Tensor, what: str, notify: Listener) -> tuple[CutPoint, ...]:
    """The cut points of `find_candidates`, without those that a mask, an index or the like goes round.

    They are told by an export, and only where the pass that finds candidates saw such values. Where the network cannot
    be exported all stay, and cutting says why it cannot. Raises CutError where none is left.
    """
    points, has_detours = find_candidates(module, example)
    if not has_detours:
        return points
    names = [point.name for point in points]
    try:
        with plain_inference(module):
            copied = copy_of(module)
            copied.eval()
            samples = enlarged(place_like(example, module), 2)
            kept = cuttable(copied, samples, names, what)
    except CutError:  # nobody may want to cut there
        return points
    if not kept:
        raise CutError(
            f"{what} has no cut point: behind every module {DETOUR} is used again; compute it of the features there; "
            f"{BY_HAND}"
        )
    if left := [name for name in names if name not in kept]:
        some = ", ".join(map(repr, left[:5])) + (", ..." if len(left) > 5 else "")
        notify(Notice(f"{what}: cannot be cut behind {some}: {DETOUR} is used again"))
    return tuple(point for point in points if point.name in kept)
