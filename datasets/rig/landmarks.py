"""Places on the arm besides the TCP that a look may find, and how far they are from each other whatever the joints.

The modified Denavit-Hartenberg parameters (Craig, "Introduction to robotics", 3.6) of the xArm7's user manual.
"""

from math import hypot

D_M = (0.267, 0.0, 0.293, 0.0, 0.3425, 0.0, 0.097)
A_M = (0.0, 0.0, 0.0, 0.0525, 0.0775, 0.0, 0.076)
QUARTERS = (0, -1, 1, 1, 1, 1, -1)
"""The angles alpha, in quarters of a turn."""
ELBOW, WRIST = 4, 6
"""Joints whose frames' origins are the landmarks."""
AXIS_M = 0.1
"""How far behind the TCP, along the tool's axis, the third landmark lies: with the TCP it gives the axis."""
LANDMARKS = {"glance": ("elbow", "wrist", "axis"), "parafovea": ("wrist", "axis")}
"""The landmarks that each look may have to find; their answers follow those of its other targets."""
ELBOW_TO_WRIST_M = hypot(D_M[4], A_M[4])


def wrist_to_tcp_m(tcp_offset_m: float) -> float:
    """Distance of a TCP that lies ``tcp_offset_m`` before the flange, on its axis, from the wrist."""
    return hypot(D_M[6] + tcp_offset_m, A_M[6])
