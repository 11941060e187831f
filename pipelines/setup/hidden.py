"""The option ``--hidden SEED``: a twin with values unknown to the command, for any command that uses the twin."""

import argparse
from pathlib import Path

from datasets.common.cli import require_writable, seed
from datasets.common.errors import ConfigError
from datasets.rig.rig import Rig
from pipelines.setup.devices import DeviceNames
from pipelines.twin.hidden.truth import Truth


def add_hidden_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a hidden twin."""
    hidden = parser.add_argument_group("a twin whose true values are hidden")
    hidden.add_argument(
        "--hidden", type=seed, metavar="SEED", help="draw camera, sensor, room, table and arm's look from this seed"
    )
    hidden.add_argument("--joint-offsets", action="store_true", help="offset its joints by up to 1 mrad, too")
    hidden.add_argument(
        "--truth", type=Path, metavar="FILE", help="write its true values to this file, for scoring only"
    )


def check_hidden(options: argparse.Namespace, names: DeviceNames, out: Path) -> None:
    """Refuse options that exclude each other, before anything is opened or written.

    Args:
        options: of a parser with :func:`add_hidden_options`.
        names: the devices that were named.
        out: where the command writes files that the tools read; the truth must not lie in it.

    Raises:
        ConfigError: the message names the option.
    """
    if options.hidden is None and (options.truth is not None or options.joint_offsets):
        raise ConfigError("--truth and --joint-offsets are of a hidden twin; give --hidden SEED")
    if options.hidden is not None and not names.is_twin:
        raise ConfigError("--hidden: a real arm has no seed; leave out --arm and --camera")
    if options.truth is not None:
        require_writable(options.truth, "--truth")
        if options.truth.resolve().is_relative_to(out.resolve()):
            raise ConfigError(f"--truth {options.truth}: lies in --out, where the tools look; keep it elsewhere")


def hidden_truth(options: argparse.Namespace, rig: Rig) -> Truth | None:
    """The argument ``hidden`` for ``open_devices``, also written to ``--truth``; None without ``--hidden``."""
    if options.hidden is None:
        return None
    truth = Truth.draw(options.hidden, rig, joint_offsets=options.joint_offsets)
    if options.truth is not None:
        truth.save(options.truth)
    return truth
