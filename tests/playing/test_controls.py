"""The viewer's keys, by a clock that the test sets."""

from __future__ import annotations

import pytest

from rlgpu.playing.controls import Controls

SPACE, MINUS, EQUAL, RIGHT, LEFT, DOWN, UP = 32, 45, 61, 262, 263, 264, 265


def count_steps(controls: Controls, start: float, seconds: float) -> int:
    """Returns how many steps are due in some time, when asked each millisecond."""
    return sum(controls.is_due(start + k / 1000) for k in range(round(seconds * 1000)))


@pytest.fixture
def controls() -> Controls:
    """Three environments, steps of 0.02 s."""
    return Controls(3, 0.02, now=0.0)


def test_without_keys_steps_are_due_in_real_time(controls) -> None:
    """50 in a second."""
    assert count_steps(controls, 0.0, 1.0) == 50


@pytest.mark.parametrize(("key", "steps"), [(EQUAL, 100), (334, 100), (MINUS, 25), (333, 25)])
def test_plus_and_minus_double_and_halve_the_speed(controls, key, steps) -> None:
    """Those of the keypad as well."""
    controls.press(key)
    assert count_steps(controls, 0.0, 1.0) == pytest.approx(steps, abs=1)


def test_the_speed_has_limits(controls) -> None:
    """Sixteen times faster or slower."""
    for key, speed in ((EQUAL, 16.0), (MINUS, 1 / 16)):
        for _ in range(20):
            controls.press(key)
        assert controls.speed == speed


def test_space_pauses_and_continues_without_catching_up(controls) -> None:
    """No step is due in the pause, and after it as many as before."""
    controls.press(SPACE)
    assert count_steps(controls, 0.0, 5.0) == 0
    assert controls.caption() == "paused"
    controls.press(SPACE)
    assert count_steps(controls, 5.0, 1.0) == pytest.approx(50, abs=1)


def test_the_right_arrow_takes_one_step_in_a_pause_only(controls) -> None:
    """Two presses are two steps."""
    controls.press(RIGHT)
    assert count_steps(controls, 0.0, 1.0) == 50
    controls.press(SPACE)
    controls.press(RIGHT)
    controls.press(RIGHT)
    assert count_steps(controls, 1.0, 1.0) == 2


def test_up_and_down_show_the_next_and_the_previous_environment(controls) -> None:
    """From the last to the first and back."""
    shown = []
    for key in (UP, UP, UP, DOWN):
        controls.press(key)
        shown.append(controls.shown)
    assert shown == [1, 2, 0, 2]


def test_a_long_delay_is_not_caught_up_with(controls) -> None:
    """After 10 s without a picture, 0.1 s of steps follow at once, not 10 s."""
    assert sum(controls.is_due(10.0) for _ in range(100)) == 6
