"""Films small moves of the arm, from which the delays are measured."""

import threading
import time
from dataclasses import dataclass, field
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from datasets.common.errors import DeviceError
from datasets.rig.frame import Frame
from perception.cameras.camera import Camera

MOVE_M = 0.012
REST_S, MORE_REST_S = 0.45, 0.2
"""Rest after a move, s: a move of 0.15 s and twice a slow camera's delay; up to ``MORE_REST_S`` more is added at
random, so that frames fall on all parts of the moves."""
PICTURE_PX = (96, 72)
PATIENCE_S = 5.0
_SAMPLE_S = 0.005
_REPORTED_S = 0.05
"""The encoders' reports cover all moments that are at least this long past, s."""


class SteppedArm(Protocol):
    """The interface of an arm that filming needs."""

    @property
    def commanded_at(self) -> float | None:
        """The time when the newest command was sent, s."""
        ...

    def move(self, displacement_m: ArrayLike) -> NDArray[np.float64]:
        """Move the target by ``(3,)`` m; returns the displacement that was sent."""
        ...

    def tcp_at(self, time_s: float) -> NDArray[np.float64]:
        """The encoders' TCP ``(3,)`` m at a past moment."""
        ...


@dataclass
class Filmed:
    """The pictures, moves and encoder positions of one filming, all times on ``time.monotonic``.

    Attributes:
        pictures: ``(H, W)`` small and grey; ``stamps_s``: the camera's times of capture; ``arrivals_s``: of arrival.
        commands_s: when each move was sent; ``ends_s``: when the arm was at rest again; ``moves_m``: the ``(3,)``
            displacement that was sent.
        encoder_s: times of the encoders' positions ``tcp_m`` ``(3,)``.
    """

    pictures: list[NDArray[np.uint8]] = field(default_factory=list)
    stamps_s: list[float] = field(default_factory=list)
    arrivals_s: list[float] = field(default_factory=list)
    commands_s: list[float] = field(default_factory=list)
    ends_s: list[float] = field(default_factory=list)
    moves_m: list[NDArray[np.float64]] = field(default_factory=list)
    encoder_s: list[float] = field(default_factory=list)
    tcp_m: list[NDArray[np.float64]] = field(default_factory=list)

    def see(self, frame: Frame) -> None:
        """Keep a frame that has just arrived."""
        self.arrivals_s.append(time.monotonic())
        self.stamps_s.append(frame.timestamp)
        grey = cv2.cvtColor(frame.rgb, cv2.COLOR_RGB2GRAY)
        self.pictures.append(np.asarray(cv2.resize(grey, PICTURE_PX, interpolation=cv2.INTER_AREA), dtype=np.uint8))


def film_moves(camera: Camera, arm: SteppedArm, rounds: int, seed: int = 0) -> Filmed:
    """Move to and fro along each axis, ``rounds`` times, with a rest after every move, while the camera films.

    Raises:
        DeviceError: a fault of arm or camera.
        SafetyStop: the arm was stopped.
    """
    filmed, over, rng = Filmed(), threading.Event(), np.random.default_rng(seed)
    failures: list[DeviceError] = []

    def film() -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not over.is_set():
            try:
                filmed.see(camera.read())
            except DeviceError as error:  # the arm is slow and near home, so the camera is given time to come back
                if time.monotonic() > deadline:
                    failures.append(error)
                    return
                time.sleep(_SAMPLE_S)
            else:
                deadline = time.monotonic() + PATIENCE_S

    thread = threading.Thread(target=film, name="filming", daemon=True)
    thread.start()
    try:
        _rest(filmed, arm, REST_S)
        for axis in [*range(3)] * rounds:
            for side in (1.0, -1.0):
                filmed.moves_m.append(arm.move(side * MOVE_M * np.eye(3)[axis]))
                _rest(filmed, arm, REST_S + MORE_REST_S * rng.random())
                if (sent_s := arm.commanded_at) is None:
                    raise DeviceError("a move was not sent; connect the arm anew")
                filmed.commands_s.append(sent_s)
                filmed.ends_s.append(filmed.encoder_s[-1])
                if failures:
                    raise failures[0]
    finally:
        over.set()
        thread.join()
    return filmed


def _rest(filmed: Filmed, arm: SteppedArm, seconds: float) -> None:
    """Wait, then keep the positions that the encoders reported meanwhile."""
    begin = filmed.encoder_s[-1] + _SAMPLE_S if filmed.encoder_s else time.monotonic()
    time.sleep(seconds)
    for moment in np.arange(begin, time.monotonic() - _REPORTED_S, _SAMPLE_S).tolist():
        filmed.encoder_s.append(moment)
        filmed.tcp_m.append(arm.tcp_at(moment))
