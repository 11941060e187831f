"""The end-to-end networks as they are shipped, without the trainer: from a picture to the bottleneck's position.

The part behind the bottleneck is a policy as any other (:func:`control.policies.shipped.load_policy` with ``KIND``):
the fusion with the commanded motion stands between the two.
"""

from pathlib import Path

import numpy as np
import onnxruntime

from control.policies.picture import PictureParams, take_picture
from control.policies.shipped import DESCRIPTION
from datasets.common.files import location
from datasets.rig.projection import Array, Intrinsics
from datasets.rig.rig import Rig
from perception.estimator.estimate import PositionEstimate
from perception.estimator.estimator import Photograph
from perception.estimator.graphs import open_graph_file
from perception.estimator.model_folder import read_description

KIND = "end_to_end"
LOCATOR = "locator.onnx"


class ImageLocator:
    """An end-to-end network up to its bottleneck, run by ONNX Runtime on one thread.

    :param session: of ``locator.onnx``
    :param picture: what it sees
    :param sigma_m: standard deviation that its positions are fused with, per axis
    :param rig: that it was trained for
    """

    def __init__(self, session: onnxruntime.InferenceSession, picture: PictureParams, sigma_m: float, rig: Rig) -> None:
        self._session, self._picture, self._rig = session, picture, rig
        self._sigma = np.full(3, sigma_m)

    @classmethod
    def load(cls, folder: str | Path, rig: Rig) -> "ImageLocator":
        """Open the network of ``folder``; raises ModelError for a file that is missing or damaged."""
        again = "train it with `python -m control.train`, or take the repository's models"

        def parse(description: dict) -> tuple[PictureParams, float]:
            return PictureParams(**description["locator"]["picture"]), float(description["locator"]["sigma_m"])

        folder = Path(location(folder))
        picture, sigma_m = read_description(folder, (DESCRIPTION, LOCATOR), "locator", again, parse)
        return cls(open_graph_file(folder / LOCATOR, again), picture, sigma_m, rig)

    def locate(self, photograph: Photograph, t_base_camera: Array, intrinsics: Intrinsics) -> PositionEstimate:
        """Where the TCP is in a picture.

        Args:
            photograph: gives a window's colour and depth.
            t_base_camera: where the camera is said to stand (4x4); networks of ``pose: rig`` do not ask.
            intrinsics: of the native image.
        """
        image, camera = take_picture(self._picture, self._rig, photograph, t_base_camera, intrinsics)
        (position,) = self._session.run(["position"], {"image": image[None], "camera": camera[None]})
        return PositionEstimate(np.asarray(position)[0].astype(np.float64), self._sigma)
