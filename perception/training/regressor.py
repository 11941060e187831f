"""Training of one look with Lightning."""

import math
import zipfile
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from datasets.common.errors import ModelError
from datasets.rig.landmarks import LANDMARKS
from datasets.rig.rig import BASE_TARGET_M, RIG_PATH, Rig
from datasets.store.stream import Batch
from perception.networks.bfloat16 import bfloat16_is_fast
from perception.networks.locator import Channels, Locator, LookName, LookSettings, glance_from_camera
from perception.networks.preprocess import Pixels, View, facing, grid_coordinates
from perception.training.augment import AugmentSettings, ColourChange, corrupt, punch_holes
from perception.training.coarse_estimates import (
    BESIDE,
    GlanceError,
    draw_coarse_estimate,
    inverse_transform,
    project,
    transform,
    turned,
)
from perception.training.landmarks import landmarks as landmarks_of
from perception.training.losses import LossWeights, position_loss


class Regressor(pl.LightningModule):
    """A look that learns where the TCP is and how sure it may be.

    Args:
        look: ``glance``, ``parafovea``, ``fovea`` or ``base``.
        backbone: ``voting[:WIDTHxBLOCKS[+context][+mode]]``, ``conv3`` or ``timm:NAME``.
        channels: ``rgbd``, or ``rgb`` for colour alone.
        landmarks: a voting look also learns where the landmarks of its kind are (elbow, wrist, tool axis).
        rig: the rig file that the frames were drawn for.
        learning_rate: at its peak.
        weight_decay: of AdamW.
        loss: weights of the loss's terms.
        augment: what happens to frames on their way.
        glance_error: error of the fovea's coarse estimates in training, and of the directions given to the glance.
        autocast: compute in bfloat16 where this processor has instructions for it.
        warm_start: checkpoint of another look; training starts from its weights wherever name and shape agree.

    Raises:
        ModelError: when training begins, if ``warm_start`` is missing, cut short, or does not share the first layer.
    """

    def __init__(
        self,
        look: LookName,
        backbone: str = "voting",
        channels: Channels = "rgbd",
        rig: str = str(RIG_PATH),
        learning_rate: float = 3e-3,
        weight_decay: float = 1e-2,
        loss: LossWeights = LossWeights(),  # noqa: B008  (frozen)
        augment: AugmentSettings = AugmentSettings(),  # noqa: B008  (frozen)
        glance_error: GlanceError = GlanceError(),  # noqa: B008  (frozen)
        autocast: bool = True,
        landmarks: bool = False,
        warm_start: str | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.rig = Rig.load(rig)
        self.settings = LookSettings.for_rig(look, backbone, channels, self.rig, landmarks)
        self.locator = Locator(self.settings)
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self.loss, self.augment, self.glance_error = loss, augment, glance_error
        self._autocast_wanted, self._warm_start = autocast, warm_start
        self._autocast = False
        self._errors: list[Tensor] = []
        self._sigmas: list[Tensor] = []

    def setup(self, stage: str) -> None:
        """Load what ``warm_start`` gives; a resumed training's own weights are loaded after this."""
        if stage != "fit" or self._warm_start is None:
            return
        if not zipfile.is_zipfile(self._warm_start):
            raise ModelError(f"{self._warm_start}: checkpoint missing or cut short; train the look it belongs to first")
        given = torch.load(self._warm_start, map_location="cpu", weights_only=True)["state_dict"]
        own = self.state_dict()
        shared = {name: given[name] for name in own if name in given and given[name].shape == own[name].shape}
        if next(iter(own)) not in shared:
            raise ModelError(
                f"{self._warm_start}: its first layer is not this look's; choose a network of the same width"
            )
        self.load_state_dict(own | shared)

    def on_fit_start(self) -> None:
        """Settle the number format, and the seed of the colours."""
        self.locator.net.to(memory_format=torch.channels_last)
        self.colour = ColourChange(self.augment, seed=torch.initial_seed() % 2**32)
        self._autocast = self._autocast_wanted and self.device.type == "cpu" and bfloat16_is_fast()

    def on_before_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Augment a training batch, on the processor, wherever the network computes."""
        if not self.trainer.training:
            return batch
        rgb, depth, seen = corrupt(
            self.colour(batch["rgb"]), batch["depth"], self._target_in_picture(batch), self.augment.spoilt
        )
        seen = seen * self._in_image(batch) * self._near_picture(batch)
        return batch | {"rgb": rgb, "depth": punch_holes(depth, self.augment.holes), "seen": seen}

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Loss of one batch of augmented frames."""
        view, target = self._view_and_target(batch, batch["seen"])
        with torch.autocast("cpu", torch.bfloat16, enabled=self._autocast):
            answer = self.locator.answer(view._replace(image=view.image.to(memory_format=torch.channels_last)))
        loss = position_loss(answer, target, batch["seen"], self.loss, self.settings.targets)
        self.log("train/loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Keep the errors of one batch; the fovea's coarse estimates are the same at every validation."""
        with torch.random.fork_rng():
            torch.manual_seed(batch_index)
            view, target = self._view_and_target(batch, torch.ones_like(batch["tcp"][:, 0]))
        answer = self.locator.answer(view)
        self._errors.append(answer.xyz - target)
        self._sigmas.append((answer.xyz - target) / answer.log_sigma.exp())

    def on_validation_epoch_end(self) -> None:
        """Median, mean and 95th percentile of the distance in mm, and how wide one sigma truly is."""
        distances = 1000 * torch.cat(self._errors).norm(dim=-1)
        distance = distances[:, 0]
        ratio = torch.cat(self._sigmas)[:, 0].abs()
        self._errors.clear()
        self._sigmas.clear()
        values = {
            "val/median_mm": distance.median(),
            "val/mean_mm": distance.mean(),
            "val/p95_mm": distance.quantile(0.95),
            "val/sigma_ratio": ratio.quantile(0.6827),
        }
        for index, name in enumerate(self.settings.targets[1:], start=1):
            values[f"val/{name}_median_mm"] = distances[:, index].median()
        self.log_dict(values, prog_bar=True, sync_dist=True)

    def configure_optimizers(self) -> Any:
        """AdamW; the rate rises over the first tenth of the steps, then falls along a cosine to zero."""
        optimizer = torch.optim.AdamW(self.parameters(), self.learning_rate, weight_decay=self.weight_decay)
        steps = max(int(self.trainer.estimated_stepping_batches), 1)
        rise = max(steps // 10, 1)

        def share(step: int) -> float:
            fall = min(max(step - rise, 0) / max(steps - rise, 1), 1.0)
            return min((step + 1) / rise, 0.5 + 0.5 * math.cos(math.pi * fall))

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, share)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _target(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Where the look's target is, and where the depth camera's own error places it: base frame, ``(B, 3)`` m."""
        if self.settings.look == "base":
            return batch["tcp"].new_tensor(BASE_TARGET_M).expand_as(batch["tcp"]), batch["base_seen"]
        return batch["tcp"], batch["tcp_seen"]

    def _target_in_picture(self, batch: Batch) -> Tensor:
        camera = inverse_transform(batch["T_base_camera"], self._target(batch)[0])
        window = batch["window"]
        share = (project(camera, batch["intrinsics"]) - window[:, :2]) / window[:, 2:]
        return share * self.settings.size_px - 0.5

    def _in_image(self, batch: Batch) -> Tensor:
        """``(B,)`` 1 where the target lies in the camera's image."""
        uv = project(inverse_transform(batch["T_base_camera"], self._target(batch)[0]), batch["intrinsics"])
        return ((uv > -0.5) & (uv < batch["image_px"] - 0.5)).all(1).to(uv.dtype)

    def _near_picture(self, batch: Batch) -> Tensor:
        """``(B,)`` 0 where a fovea's window lies on another part of the arm, as some do on purpose."""
        if self.settings.look != "fovea":
            return torch.ones_like(batch["tcp"][:, 0])
        share = (self._target_in_picture(batch) + 0.5) / self.settings.size_px
        return ((share > -BESIDE) & (share < 1 + BESIDE)).all(1).to(share.dtype)

    def _view_and_target(self, batch: Batch, seen: Tensor) -> tuple[View, Tensor]:
        """The view, and the targets about its origin; m.

        Positions are learnt where the depth camera's own error places them, and the fovea's with the camera's true
        pose: the errors of the given pose and of the depth cannot be seen in a window
        (:mod:`perception.estimator.pose_check` accounts for both). The other two looks come before any correction of
        the given pose.
        """
        columns, rows = grid_coordinates(batch["window"], self.settings.size_px)
        pixels = Pixels(batch["rgb"], batch["depth"], columns, rows, batch["intrinsics"])
        true = batch["T_base_camera"]
        camera = inverse_transform(true, self._target(batch)[1])
        pose = true if self.settings.look == "fovea" else turned(true, math.radians(self.glance_error.turn_deg))
        points = {"tcp": camera, "base": inverse_transform(true, camera.new_tensor(BASE_TARGET_M).expand_as(camera))}
        if self.settings.landmarks:
            # The depth camera's error is about the same there.
            more = landmarks_of(batch["joints"], batch["tcp"]) + (batch["tcp_seen"] - batch["tcp"])[:, None]
            found = (inverse_transform(true, each) for each in more.unbind(1))
            points |= dict(zip(LANDMARKS["glance"], found, strict=True))
        targets = torch.stack([points[name] for name in self.settings.targets], dim=1)
        if self.settings.look == "glance":
            view = self.locator.view(pixels, pose, camera)
            return view, glance_from_camera(targets, pose, within_reach=self.settings.landmarks)
        coarse = draw_coarse_estimate(
            camera, batch["window"], batch["intrinsics"], batch["image_px"], self.glance_error
        )
        coarse = torch.where(seen[:, None] > 0, coarse, _at_what_is_there(coarse, batch["depth"]))
        estimate = transform(pose, coarse)
        view = self.locator.view(pixels, pose, estimate)
        about = torch.stack([transform(pose, point) - estimate for point in targets.unbind(1)], dim=2)
        return view, (facing(pose) @ about).mT


def _at_what_is_there(point: Tensor, depth: Tensor) -> Tensor:
    """Camera-frame points ``(B, 3)``, half of them moved along the ray to the depth of their pictures ``(B, S, S)``."""
    readings = depth[:, ::4, ::4].flatten(1)
    middle = torch.where(readings > 0, readings, torch.nan).nanmedian(dim=1).values.nan_to_num(1.0)
    use = torch.rand_like(middle) < 0.5
    return point * torch.where(use, middle / point[:, 2], torch.ones_like(middle))[:, None]
