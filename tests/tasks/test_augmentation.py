"""Augmentation of whole batches, held against one image at a time."""

import torch

from eenas.tasks.images.augmentation import augment


def slow(images, flip, generator):
    count, _, height, width = images.shape
    reach = max(1, round(width / 8))
    shift = torch.randint(0, 2 * reach + 1, (2, count), generator=generator)
    mirrored = torch.rand(count, generator=generator) < 0.5 if flip else torch.zeros(count, dtype=torch.bool)
    found = torch.zeros_like(images)
    for n in range(count):
        for row in range(height):
            for column in range(width):
                target = width - 1 - column if mirrored[n] else column
                y, x = row + int(shift[0, n]) - reach, column + int(shift[1, n]) - reach
                if 0 <= y < height and 0 <= x < width:
                    found[n, :, row, target] = images[n, :, y, x]
    return found


def test_batches_are_shifted_and_flipped_like_single_images():
    images = torch.randint(0, 256, (9, 2, 8, 8), dtype=torch.uint8)
    for flip in (False, True):
        fast = augment(images, flip=flip, generator=torch.Generator().manual_seed(5))
        assert torch.equal(fast, slow(images, flip, torch.Generator().manual_seed(5)))
        assert fast.dtype == torch.uint8


def test_images_really_change_and_the_original_does_not():
    images = torch.randint(1, 256, (64, 1, 8, 8), dtype=torch.uint8)
    before = images.clone()
    changed = augment(images, flip=True, generator=torch.Generator().manual_seed(0))
    assert torch.equal(images, before)
    assert (changed != images).flatten(1).any(dim=1).sum() > 48
