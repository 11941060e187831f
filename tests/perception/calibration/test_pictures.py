"""Pictures of a calibration show the model's edge and nothing else."""

import numpy as np

from perception.calibration.pictures import outlined


def test_an_outline_is_drawn_about_the_mask_alone():
    mask = np.zeros((20, 30), bool)
    mask[5:15, 8:20] = True
    drawn = (outlined(np.zeros((20, 30, 3), np.uint8), mask) > 0).any(axis=-1)
    assert drawn[5, 10]
    assert drawn[10, 8]
    assert not drawn[10, 12]
    assert not drawn[2, 2]
