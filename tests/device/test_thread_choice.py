"""Numbers of threads that follow what calls take."""

from __future__ import annotations

import time

from rlgpu.device import ThreadChoice


def play(choice: ThreadChoice, calls: int, seconds: dict[int, float], busy: float) -> float:
    """Makes calls that take so long by their number of threads; returns the total [s]."""
    total = 0.0
    for _ in range(calls):
        threads = choice._trial or choice.chosen
        choice.note(seconds[threads], busy if threads > 1 else 1.0)
        total += seconds[threads]
    return total


ALONE = {4: 1.0, 2: 1.9, 1: 3.6}
CROWDED = {4: 12.0, 2: 8.0, 1: 3.7}


def test_alone_all_threads_stay_and_nothing_is_tried() -> None:
    choice = ThreadChoice(4)
    assert play(choice, 1000, ALONE, busy=0.97) == 1000.0
    assert choice.chosen == 4


def test_threads_that_lose_their_cores_are_given_up_and_taken_back() -> None:
    """Within a few hundred calls each way, and trials cost little."""
    choice = ThreadChoice(4)
    play(choice, 200, CROWDED, busy=0.5)
    assert choice.chosen == 1
    assert play(choice, 1000, CROWDED, busy=0.5) < 1.15 * 3.7 * 1000
    assert choice.chosen == 1
    play(choice, 200, ALONE, busy=0.97)
    assert choice.chosen == 4


def test_waiting_alone_is_no_reason_for_fewer_threads() -> None:
    """Threads that wait for memory or for each other still gain: only a faster trial counts."""
    choice = ThreadChoice(2)
    play(choice, 1000, ALONE, busy=0.6)
    assert choice.chosen == 2


def test_calls_are_measured_by_their_work() -> None:
    choice = ThreadChoice(2)
    with choice.measured(lambda: 4.0) as threads:
        time.sleep(0.02)
    assert threads == 2
    assert 0.005 <= choice._times.seconds < 0.02
    assert choice._times.busy < 0.5
    with ThreadChoice(1).measured() as threads:
        assert threads == 1
