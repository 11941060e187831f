"""A piece is thickened by what it misses of the official meshes, and by no more."""

import numpy as np
import pytest

from control.clearance.inflation import needed
from control.clearance.shapes import Piece
from datasets.arm.model import menagerie_available

official = pytest.mark.skipif(menagerie_available() is not None, reason=str(menagerie_available()))


@official
def test_a_piece_is_thickened_by_what_it_misses_and_no_more():
    cube = np.stack(np.meshgrid([0, 0.1], [0, 0.1], [0, 0.1]), axis=-1).reshape(-1, 3)
    other = cube + np.array([0.2, 0, 0])
    triangle = np.array([[0.103, 0.05, 0.05], [0.104, 0.05, 0.05], [0.1, 0.05, 0.06]])
    pieces = [Piece("a", 1, cube), Piece("b", 1, other)]
    assert needed(pieces, triangle[None]) == pytest.approx([0.004, 0.0], abs=2e-4)
