"""The shipped end-to-end networks up to their bottleneck, without the trainer: they find the TCP in a picture.

The part behind the bottleneck is a policy like any other (:func:`control.policies.shipped.load_policy` with ``KIND``).
The fusion with the commanded motion takes place between the two.
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

    :param session: the session of ``locator.onnx``
    :param picture: what the network sees
    :param sigma_m: standard deviation per axis with which its positions are fused
    :param rig: the rig that it was trained for
    """

    def __init__(self, session: onnxruntime.InferenceSession, picture: PictureParams, sigma_m: float, rig: Rig) -> None:
        self._session, self._picture, self._rig = session, picture, rig
        self._sigma = np.full(3, sigma_m)

    @classmethod
    def load(cls, folder: str | Path, rig: Rig) -> "ImageLocator":
        """Opens the network of ``folder``; raises ModelError if a file is missing or damaged."""
        again = "train it with `python -m control.train`, or take the repository's models"

        def parse(description: dict) -> tuple[PictureParams, float]:
            return PictureParams(**description["locator"]["picture"]), float(description["locator"]["sigma_m"])

        folder = Path(location(folder))
        picture, sigma_m = read_description(folder, (DESCRIPTION, LOCATOR), "locator", again, parse)
        return cls(open_graph_file(folder / LOCATOR, again), picture, sigma_m, rig)

    def locate(self, photograph: Photograph, t_base_camera: Array, intrinsics: Intrinsics) -> PositionEstimate:
        """Estimates the TCP's position from a picture.

        Args:
            photograph: returns a window's colour and depth.
            t_base_camera: the camera's pose as given (4x4); networks of ``pose: rig`` do not use it.
            intrinsics: the intrinsics of the native image.
        """
        image, camera = take_picture(self._picture, self._rig, photograph, t_base_camera, intrinsics)
        (position,) = self._session.run(["position"], {"image": image[None], "camera": camera[None]})
        return PositionEstimate(np.asarray(position)[0].astype(np.float64), self._sigma)
