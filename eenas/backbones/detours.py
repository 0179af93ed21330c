"""Cut points without those that values bypass, which only the exported graph shows."""

from torch import Tensor, nn

from eenas.backbones.chain import plain_inference, split_sequential
from eenas.backbones.copies import copy_of
from eenas.backbones.cut_points import BY_HAND, CutPoint, find_candidates, on_device_of, with_batch_size
from eenas.backbones.exported import DETOUR, cuttable
from eenas.errors import CutError
from eenas.progress import Listener, Notice


def cut_points_of(module: nn.Module, example: Tensor, label: str, notify: Listener) -> tuple[CutPoint, ...]:
    """Return the cut points of `find_candidates`, without those that a mask, an index or the like bypasses.

    The network is exported to find them, and only if the candidates' pass saw such values; a sequence of modules has
    none between these. If the export fails, all
    candidates stay; cutting the network then reports the cause. Raises CutError if none is left.
    """
    points, has_detours = find_candidates(module, example)
    if not has_detours:
        return points
    names = [point.name for point in points]
    if split_sequential(module, tuple(names)) is not None:  # its parts pass on one tensor and nothing else
        return points
    try:
        with plain_inference(module):
            copied = copy_of(module)
            copied.eval()
            samples = with_batch_size(on_device_of(example, module), 2)
            kept = cuttable(copied, samples, names, label)
    except CutError:  # the network may never be cut
        return points
    if not kept:
        raise CutError(
            f"{label} has no cut point: after every module {DETOUR} is used again; compute it from the features there; "
            f"{BY_HAND}"
        )
    if left := [name for name in names if name not in kept]:
        some = ", ".join(map(repr, left[:5])) + (", ..." if len(left) > 5 else "")
        notify(Notice(f"{label}: cannot be cut after {some}: {DETOUR} is used again"))
    return tuple(point for point in points if point.name in kept)
