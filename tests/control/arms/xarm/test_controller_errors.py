"""Every code of the controller is told in words."""

from control.arms.xarm.controller_errors import describe_error, describe_return, describe_state, describe_warning
from control.arms.xarm.wire import sdk


def test_every_code_has_words() -> None:
    for code in range(1, 120):
        assert describe_error(code).startswith(f"C{code}: ")
    sdk.load_sdk()
    from xarm.core.config.x_code import ControllerErrorCodeMap

    for code in filter(lambda key: isinstance(key, int), ControllerErrorCodeMap):
        assert "no words" not in describe_error(code), code
    from xarm.core.config.x_code import ControllerWarnCodeMap

    for code in filter(lambda key: isinstance(key, int), ControllerWarnCodeMap):
        assert "no words" not in describe_warning(code), code
    assert describe_warning(99).startswith("W99: ")
    assert describe_return(9) == "code 9: the arm cannot move in its present state"
    assert describe_return(-12345).startswith("code -12345: ")
    assert describe_state(3) == "state 3: paused"
