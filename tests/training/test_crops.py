"""What a training step sees."""

import torch

from training.bank import Bank
from training.crops import Augmentation, crops, labels_for

UNTOUCHED = Augmentation(scale=0, aspect=0, turn=0, shift=0, contrast=0, gain=0, light=0, grey=0, noise=0, mirror=False)


def ramp() -> Bank:
    """One picture of 64 x 64 whose red is x, green y, blue 0; its class is the whole of it."""
    at = torch.arange(64, dtype=torch.uint8)
    pixels = torch.stack([at.expand(64, 64), at[:, None].expand(64, 64), torch.zeros(64, 64, dtype=torch.uint8)], -1)
    start, side = torch.tensor([[0, 0, 0]]), torch.tensor([[64, 64, 64]])
    return Bank(
        pixels.reshape(-1, 3), start, side, side,
        picture=torch.tensor([0]), centre=torch.zeros(1, 2), extent=torch.tensor([64.0]), roam=torch.zeros(1),
    )  # fmt: skip


def test_a_crop_without_distortion_is_the_picture() -> None:
    crop = crops(ramp(), torch.tensor([0]), 64, UNTOUCHED, torch.Generator().manual_seed(0))
    wanted = ramp().pixels.view(64, 64, 3).permute(2, 0, 1) / 255
    torch.testing.assert_close(crop[0], wanted)


def test_a_smaller_crop_shows_less_at_the_same_density() -> None:
    crop = crops(ramp(), torch.tensor([0]), 32, UNTOUCHED, torch.Generator().manual_seed(0))
    wanted = ramp().pixels.view(64, 64, 3)[16:48, 16:48].permute(2, 0, 1) / 255
    torch.testing.assert_close(crop[0], wanted)


def test_past_its_edges_a_picture_is_mirrored() -> None:
    crop = crops(ramp(), torch.tensor([0]), 96, UNTOUCHED, torch.Generator().manual_seed(0))
    red = crop[0, 0, 0] * 255
    assert red.min() >= 0
    assert torch.allclose(red[:16].flip(0).round(), torch.arange(1, 17.0))


def test_crops_repeat_with_their_generator_and_lie_in_range(bank: Bank) -> None:
    drawn = []
    for _ in range(2):
        g = torch.Generator().manual_seed(5)
        drawn.append(crops(bank, labels_for(bank, 20, g), 48, Augmentation(), g))
    assert torch.equal(*drawn)
    assert drawn[0].shape == (20, 3, 48, 48)
    assert drawn[0].min() >= 0
    assert drawn[0].max() <= 1


def test_every_sample_of_a_class_is_different(bank: Bank) -> None:
    g = torch.Generator().manual_seed(0)
    pair = crops(bank, torch.tensor([3, 3]), 48, Augmentation(), g)
    assert not torch.equal(pair[0], pair[1])
