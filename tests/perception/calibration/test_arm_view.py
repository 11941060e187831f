"""The arm's model is drawn where its joints put it."""

import numpy as np

from datasets.arm.kinematics import Kinematics
from datasets.rig.projection import invert, project, transform
from perception.calibration.registration.arm_view import LINKS, ArmView


def test_the_view_draws_each_link_where_it_is(view, posed, rig):
    view.place(posed[0], 0.4)
    depth, links = view.draw(rig.t_base_camera, rig.camera)
    assert set(np.unique(links)) == {-1, *range(len(LINKS))}
    assert np.array_equal(depth > 0, links >= 0)
    surface = view.surface(2000)
    seen = transform(invert(rig.t_base_camera), surface.points)
    u, v = np.rint(project(seen, rig.camera)).astype(int).T
    inside = (u >= 0) & (u < rig.camera.width) & (v >= 0) & (v < rig.camera.height)
    drawn = depth[v[inside], u[inside]]
    # No point of the surface lies before what is drawn, but for the pixel's own slope.
    assert np.mean(seen[inside, 2] > drawn - 0.004) > 0.97


def test_a_bare_flange_has_no_tool(posed, rig):
    view = ArmView((rig.camera.width, rig.camera.height), tool=False)
    view.place(posed[0])
    links = view.draw(rig.t_base_camera, rig.camera)[1]
    view.close()
    assert LINKS.index("tool") not in links
    assert LINKS.index("link7") in links


def test_joint_axes_move_points_as_kinematics_say(view, posed):
    joints, kinematics, step = posed[1], Kinematics(), 1e-6
    view.place(joints)
    axes, anchors = view.axes
    tcp = kinematics.tcp(joints)
    for index in range(7):
        turned = (kinematics.tcp(joints + step * np.eye(7)[index]) - tcp) / step
        np.testing.assert_allclose(np.cross(axes[index], tcp - anchors[index]), turned, atol=1e-5)
