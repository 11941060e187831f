"""Pictures of somebody's frames are drawn, and never written where they could be published."""

import subprocess

import pytest

from datasets.common.errors import ConfigError
from perception.real.overlays import require_private


def test_overlays_are_never_written_into_a_repository(tmp_path):
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    with pytest.raises(ConfigError, match="does not ignore it"):
        require_private(tmp_path / "look")
    (tmp_path / ".gitignore").write_text("/look/\n")
    require_private(tmp_path / "look")
    with pytest.raises(ConfigError, match="does not ignore it"):
        require_private(tmp_path / "other")
