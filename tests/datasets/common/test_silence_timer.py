"""Silence is what a running process saw of it."""

from hypothesis import given
from hypothesis import strategies as st

from datasets.common.silence_timer import SilenceTimer


@given(st.lists(st.floats(0, 10), min_size=1, max_size=30))
def test_a_process_held_up_has_not_seen_silence(looks: list[float]) -> None:
    silence = SilenceTimer(longest_look_s=0.02)
    silence.look(1, 0.0)
    for passed in looks:
        silence.look(1, passed)
    assert silence.lasted_s <= min(sum(looks), 0.02 * len(looks)) + 1e-9
    assert silence.look(2, 5.0) == 0.0
