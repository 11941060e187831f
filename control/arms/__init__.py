"""Arms behind one interface, the fence that limits them, and how they are driven."""

from control.arms.arm import Arm
from control.arms.fence import Fence
from control.arms.params import ArmParams

__all__ = ["Arm", "ArmParams", "Fence"]
