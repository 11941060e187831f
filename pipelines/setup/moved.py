"""The common part of all commands that move the arm about and look at it: parameter files, and their set-up."""

import argparse

from control.arms.site import SITE_EXAMPLE_PATH, SITE_PATH, SiteParams
from datasets.rig.rig import RIG_PATH, Rig
from pipelines.setup.devices import DeviceNames
from pipelines.setup.settings import RUNTIME_PATH, RuntimeParams
from pipelines.setup.setup import PROPORTIONAL, Setup
from pipelines.twin.settings import TWIN_PATH, TwinParams


def add_files(parser: argparse.ArgumentParser) -> None:
    """Add the options that name parameter files."""
    files = parser.add_argument_group("parameter files")
    files.add_argument("--rig", default=RIG_PATH, metavar="FILE")
    files.add_argument("--runtime", default=RUNTIME_PATH, metavar="FILE")
    add_site(files)
    files.add_argument("--twin", default=TWIN_PATH, metavar="FILE")


def add_site(options: "argparse._ArgumentGroup | argparse.ArgumentParser") -> None:
    """Add the option that names the site file, with the values of one laboratory."""
    options.add_argument(
        "--site",
        metavar="FILE",
        help=f"what is true of your laboratory (default: {SITE_PATH}, where it exists; see {SITE_EXAMPLE_PATH})",
    )


def load_setup(options: argparse.Namespace, names: DeviceNames) -> tuple[Setup, TwinParams]:
    """Load the files named by the options of :func:`add_files`; use ``max_speed`` and, if present, ``estimator``.

    The table lies where the site's calibration measured it, also while a new one is made. No trained policy is loaded.
    Raises as :meth:`Setup.load` does.
    """
    rig, twin, site = Rig.load(options.rig), TwinParams.load(options.twin), SiteParams.load(options.site)
    setup = Setup.load(
        rig,
        RuntimeParams.load(options.runtime),
        estimator=getattr(options, "estimator", None),
        policy=PROPORTIONAL,
        calibration=names.known_calibration(rig, site),
        max_speed_m_s=options.max_speed,
        site=site,
    )
    return setup, twin
