"""The xArm7 over the vendor's SDK: driven, or only listened to."""

from control.arms.xarm.driver import XArm
from control.arms.xarm.shadow import ShadowArm

__all__ = ["ShadowArm", "XArm"]
