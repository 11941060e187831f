"""What training does to pictures: only what is asked for, and the same for the same seed."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from perception.training.augment import AugmentSettings, ColourChange, corrupt, punch_holes

SIZE = 84


def pictures(batch: int = 6) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rgb = torch.randint(0, 256, (batch, SIZE, SIZE, 3), dtype=torch.uint8)
    return rgb, torch.full((batch, SIZE, SIZE), 1.2), torch.full((batch, 2), 40.0)


def test_nothing_is_corrupted_unless_asked() -> None:
    rgb, depth, pixel = pictures()
    corrupted_rgb, corrupted_depth, seen = corrupt(rgb, depth, pixel, share=0.0)
    assert torch.equal(rgb, corrupted_rgb)
    assert torch.equal(depth, corrupted_depth)
    assert seen.tolist() == [1.0] * 6


def test_corrupted_frames_are_marked_and_the_originals_left_alone() -> None:
    torch.manual_seed(0)
    rgb, depth, pixel = pictures(64)
    kept_rgb, kept_depth = rgb.clone(), depth.clone()
    corrupted_rgb, corrupted_depth, seen = corrupt(rgb, depth, pixel, share=1.0)
    assert torch.equal(rgb, kept_rgb)
    assert torch.equal(depth, kept_depth)
    assert corrupted_rgb.shape == rgb.shape
    assert corrupted_depth.shape == depth.shape
    blackened = (corrupted_rgb.amax((1, 2, 3)) < 12) & (corrupted_depth.amin((1, 2)) > 0)
    assert torch.equal(seen > 0, blackened)  # colour alone may go: the point map still shows the arm


@settings(max_examples=20)
@given(u=st.floats(-30, 120), v=st.floats(-30, 120))
def test_corruption_copes_with_a_tcp_outside_the_picture(u: float, v: float) -> None:
    rgb, depth, _ = pictures(12)
    corrupt(rgb, depth, torch.tensor([[u, v]]).repeat(12, 1), share=1.0)


def test_holes_only_take_readings_away() -> None:
    depth = torch.ones(32, SIZE, SIZE)
    holed = punch_holes(depth, share=1.0)
    assert set(holed.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(punch_holes(depth, share=0.0), depth)


def test_colours_change_the_same_way_for_the_same_seed() -> None:
    rgb, _, _ = pictures(10)
    changed = []
    for _ in range(2):
        torch.manual_seed(3)
        changed.append(ColourChange(AugmentSettings(colour=1.0, group=4), seed=5)(rgb))
    assert changed[0].shape == rgb.shape
    assert changed[0].dtype == torch.uint8
    assert torch.equal(changed[0], changed[1])
    assert not torch.equal(changed[0], rgb)
