"""Findings, and checks in separate processes; a crash of such a process is a finding too."""

import json
import os
import pwd
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

INSTALL = "python -m pip install -c constraints.txt -e ."
_SHORTEST_NAME = 3
_LONGEST = 300
_COMMON = {"root", "user", "localhost"}


class State(StrEnum):
    """The state of an item: good, worth knowing, or in need of the remedy."""

    OK = "ok"
    NOTE = "note"
    FAULT = "fault"


@dataclass(frozen=True)
class Finding:
    """One line of the page.

    Attributes:
        item: the part that was examined.
        found: the result in words, without names of users and hosts and without their folders, because the page is
            sent to other people.
        remedy: the remedy in words; empty if there is nothing to do.
    """

    item: str
    state: State
    found: str
    remedy: str = ""

    def __str__(self) -> str:
        told = f"{self.state.upper() if self.state is State.FAULT else self.state:<6}{self.item:<18}{self.found}"
        return f"{told}\n{'':<24}-> {self.remedy}" if self.remedy else told


class Broken(Exception):
    """A process that looked at something ended badly; the message says how."""


def look_apart(
    arguments: Iterable[str], timeout_s: float, variables: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The JSON in the last line that a Python process started with ``arguments`` prints.

    Raises:
        Broken: it crashed, failed, or took longer than ``timeout_s``.
    """
    try:
        done = subprocess.run(
            [sys.executable, *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=timeout_s,
            env={**os.environ, **(variables or {})},
        )
    except subprocess.TimeoutExpired as error:
        raise Broken(f"did not finish within {timeout_s:g} s") from error
    if done.returncode < 0:
        raise Broken(f"crashed ({signal.Signals(-done.returncode).name})")
    if done.returncode:
        raise Broken((done.stderr.strip().splitlines() or [f"ended with exit code {done.returncode}"])[-1])
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def findings_of(item: str, look: Callable[[], Iterable[Finding]], remedy: str) -> Iterator[Finding]:
    """Yield the findings of ``look``, made private; any exception becomes a fault of ``item`` with this remedy."""
    try:
        yield from map(_private, look())
    except Exception as error:  # a page with one item missing, and the reason, is better than no page
        yield _private(Finding(item, State.FAULT, f"{type(error).__name__}: {error}", remedy))


def _private(finding: Finding) -> Finding:
    return replace(finding, found=private(finding.found), remedy=private(finding.remedy))


def private(text: str) -> str:
    """The text shortened to one line, without the names of this user and host and without their folders."""
    text = " ".join(text.split())
    folders = {str(Path.cwd()): ".", str(Path(__file__).parents[2]): ".", sys.prefix: "ENVIRONMENT"}
    names: dict[str, str] = {}
    try:
        user = pwd.getpwuid(os.getuid())
        folders[user.pw_dir] = "~"
        names[user.pw_name] = "USER"
    except KeyError:  # a container's user without a name
        pass
    folders[os.environ.get("HOME", "")] = "~"
    host = socket.gethostname()
    names |= {os.environ.get("USER", ""): "USER", host: "HOST", host.partition(".")[0]: "HOST"}
    for folder in sorted(folders, key=len, reverse=True):
        if len(folder) > 1:
            text = text.replace(folder, folders[folder])
    text = re.sub(r"/(home|Users)/[^/\s'\":]+", "~", text)
    for name in sorted(names, key=len, reverse=True):
        if len(name) >= _SHORTEST_NAME and name not in _COMMON:
            text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", names[name], text)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
