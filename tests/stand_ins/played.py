"""The frames of a camera that plays a recording, and intrinsics of three by two pixels."""

from datasets.rig.frame import Frame
from datasets.rig.projection import Intrinsics
from perception.cameras.camera import RecordingEnded
from perception.cameras.playback import PlaybackCamera

TINY = Intrinsics(3, 2, 3.0, 3.0, 1.0, 0.5)


def everything(camera: PlaybackCamera) -> list[Frame]:
    found: list[Frame] = []
    while True:
        try:
            found.append(camera.read())
        except RecordingEnded:
            return found
