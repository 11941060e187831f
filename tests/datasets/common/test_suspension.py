"""A computer that slept is told from one that was busy."""

from datasets.common.suspension import Suspension


def test_a_program_that_is_held_up_between_two_clocks_has_not_slept() -> None:
    clock = [0.0]

    def always() -> float:
        read = clock[0] + 7.0
        clock[0] += 0.5  # the machine does something else before the other clock is read
        return read

    suspension = Suspension(lambda: clock[0], always)
    clock[0] += 100.0
    assert suspension.lasted_s() == 0.0
