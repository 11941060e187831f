"""What is drawn lies where the camera's pose and intrinsics put it."""

import gc
import subprocess
import sys

import mujoco
import numpy as np
import pytest

from datasets.common.errors import ConfigError, DeviceError
from datasets.rig.projection import Intrinsics, backproject, invert, project, transform
from datasets.scene.renderer import Renderer


def test_depth_and_pixels_agree_with_a_ball_at_a_known_place(rig):
    spec = mujoco.MjSpec.from_string(
        """<mujoco><statistic extent="1"/>
        <visual><map znear="0.05" zfar="8"/><quality numslices="200" numstacks="100" offsamples="0"/></visual>
        <worldbody><geom type="sphere" size="0.02" pos="0.42 0.11 0.31"/></worldbody></mujoco>"""
    )
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    renderer = Renderer(model)
    renderer.update(data)
    _, depth = renderer.render(rig.t_base_camera, rig.camera)
    renderer.close()
    rows, columns = np.nonzero(depth)
    centre = transform(invert(rig.t_base_camera), [0.42, 0.11, 0.31])
    assert np.allclose([columns.mean(), rows.mean()], project(centre, rig.camera), atol=0.1)
    nearest = depth[depth > 0].min()
    assert nearest == pytest.approx(centre[2] - 0.02, abs=1e-3)
    surface = transform(rig.t_base_camera, backproject(np.stack([columns, rows], -1), depth[rows, columns], rig.camera))
    assert np.linalg.norm(surface - [0.42, 0.11, 0.31], axis=1) == pytest.approx(0.02, abs=2e-3)


def test_an_image_larger_than_the_buffer_is_refused_and_not_made_up(rig):
    renderer = Renderer(mujoco.MjModel.from_xml_string("<mujoco/>"))
    try:
        with pytest.raises(ConfigError, match=r"1280x720 px is asked of a renderer of at most 640x480"):
            renderer.render(rig.t_base_camera, Intrinsics(1280, 720, 900.0, 900.0, 639.5, 359.5))
    finally:
        renderer.close()


@pytest.mark.parametrize("ended", ["closed", "dropped"])
def test_a_renderer_that_ends_takes_nothing_from_another(rig, ended):
    model = mujoco.MjModel.from_xml_string(
        """<mujoco><worldbody><geom type="sphere" size="0.2" pos="0.42 0.11 0.31"/></worldbody></mujoco>"""
    )
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    first, second = Renderer(model), Renderer(model)
    for each in (first, second):
        each.update(data)
    before = second.render(rig.t_base_camera, rig.camera)
    assert before[1].any()
    if ended == "closed":
        first.close()
    del each, first
    gc.collect()
    after = second.render(rig.t_base_camera, rig.camera)
    second.close()
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_picture_that_opengl_could_not_draw_is_refused_and_not_made_up(rig, monkeypatch):
    renderer = Renderer(mujoco.MjModel.from_xml_string("<mujoco/>"))
    monkeypatch.setattr(mujoco, "mjr_getError", lambda: 0x0506)
    try:
        with pytest.raises(DeviceError, match=r"OpenGL failed to draw \(error 0x0506\)"):
            renderer.render(rig.t_base_camera, rig.camera)
    finally:
        renderer.close()


LEARN_AFTER_DRAWING = """
from datasets.scene.renderer import require_gl
require_gl()
import torch
weight = torch.nn.Parameter(torch.zeros(1))
optimizer = torch.optim.Adam([weight])
weight.sum().backward()
optimizer.step()
"""


@pytest.mark.slow
def test_what_was_drawn_before_it_does_not_crash_learning():
    done = subprocess.run([sys.executable, "-c", LEARN_AFTER_DRAWING], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
