"""A command started in this process as ``python -m`` starts it, without the seconds that new libraries need."""

import contextlib
import io
import runpy
import sys
import warnings
from unittest.mock import patch


def started_here(module: str, *arguments: str) -> tuple[int, str]:
    """The exit code of a command that ends at once, such as ``--help``, and what it printed to stdout."""
    printed = io.StringIO()
    with (
        patch.object(sys, "argv", [module, *arguments]),
        contextlib.redirect_stdout(printed),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", RuntimeWarning)  # another test may have imported the module
        try:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        except SystemExit as end:
            return end.code if isinstance(end.code, int) else int(end.code is not None), printed.getvalue()
    return 0, printed.getvalue()
