"""What stands beside the estimator in its table is of the same frames, or is refused."""

from pathlib import Path

import pytest

from datasets.common.errors import DataError
from perception.evaluation.comparison import beside


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"nominal": {"n": 1}}'])
def test_figures_of_a_baseline_that_cannot_be_read_are_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "baselines" / "conv3_rgb.json"
    path.parent.mkdir()
    path.write_text(content)
    with pytest.raises(DataError, match=r"conv3_rgb\.json.*make baselines"):
        beside(tmp_path, "digest")
