"""The packages that only training needs, and the message of a command that misses them. Imports no other package."""

import sys
from collections.abc import Sequence
from importlib.util import find_spec

PERCEPTION = ("albumentations", "onnxscript", "pytorch_lightning", "tensorboard", "timm", "torch", "torchvision")
"""What training and measuring a look needs, under the names of import."""
PACKAGES = (*PERCEPTION, "stable_baselines3")
"""What everything that trains needs; the extra ``train`` of ``pyproject.toml`` installs them, and DVC."""
EXIT_NOT_INSTALLED = 2


def require_training(prog: str, packages: Sequence[str] = PACKAGES) -> None:
    """End a command with one sentence and exit code 2 where packages that it imports next are not installed."""
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        print(
            f"{prog}: error: this trains or measures networks, and {', '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} not installed; run `make setup`, or "
            "`pip install -c constraints.txt -e '.[train]'`",
            file=sys.stderr,
        )
        raise SystemExit(EXIT_NOT_INSTALLED)
