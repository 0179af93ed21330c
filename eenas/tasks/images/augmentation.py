"""Standard light augmentation of whole batches: shifts with zero padding, and horizontal flips."""

import torch
from torch import Tensor

SHIFT = 1 / 8
"""The largest shift as a share of the side: 4 of 32 pixels, as in He et al. 2016, section 4.2."""


def augment(images: Tensor, *, flip: bool, generator: torch.Generator) -> Tensor:
    """Return uint8 images `[N, C, H, W]`, each shifted by up to an eighth of each side. With `flip`, half are mirrored.

    Random numbers are drawn on the CPU, so every device draws the same.
    """
    count, _, height, width = images.shape
    reach, down = max(1, round(width * SHIFT)), max(1, round(height * SHIFT))
    device = images.device
    if down == reach:
        shift = torch.randint(0, 2 * reach + 1, (2, count), generator=generator).to(device)
    else:
        drawn = [torch.randint(0, 2 * side + 1, (count,), generator=generator) for side in (down, reach)]
        shift = torch.stack(drawn).to(device)
    padded = torch.nn.functional.pad(images, (reach, reach, down, down))
    rows = shift[0][:, None] + torch.arange(height, device=device)
    columns = shift[1][:, None] + torch.arange(width, device=device)
    if flip:
        mirrored = (torch.rand(count, generator=generator) < 0.5).to(device)
        columns = torch.where(mirrored[:, None], columns.flip(1), columns)
    sample = torch.arange(count, device=device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[sample, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
