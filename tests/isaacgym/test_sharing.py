"""Kinds of environments are shared between threads."""

from __future__ import annotations

import threading
import time

import pytest
import torch

from rlgpu.isaacgym.simulation.sharing import Shares


@pytest.mark.parametrize("num_threads", [1, 2, 5])
def test_every_kind_is_called_once(num_threads):
    """The calling thread starts large ones, which use the engine's threads."""
    sizes = [1, 100, 3, 1, 2, 64, 1]
    shares, called, by = Shares(sizes, num_threads), [], {}

    def call(i):
        called.append(i)
        by[i] = threading.current_thread()

    for _ in range(3):
        called.clear()
        shares.each(call)
        assert sorted(called) == list(range(len(sizes)))
        assert by[1] is by[5] is threading.current_thread()
    assert len(set(by.values())) <= num_threads
    shares.close()


def test_an_error_of_any_kind_reaches_the_caller():
    """Whichever thread it is in."""
    shares = Shares([1, 1, 1, 1], 2)

    def call(i):
        if i == wrong:
            raise ArithmeticError(i)

    for wrong in range(4):
        with pytest.raises(ArithmeticError) as caught:
            shares.each(call)
        assert caught.value.args == (wrong,)
    shares.close()


@pytest.mark.parametrize("wrong", [0, 1])
def test_an_error_waits_for_the_other_threads(wrong):
    """No world is still stepping when the caller handles the error."""
    shares, ended = Shares([1, 1, 1], 3), []

    def call(i):
        if i == wrong:
            raise ArithmeticError(i)
        time.sleep(0.1)
        ended.append(i)

    with pytest.raises(ArithmeticError):
        shares.each(call)
    assert sorted(ended) == [i for i in range(3) if i != wrong]
    shares.close()


def test_threads_write_to_tensors_of_inference_mode():
    """Scripts step their environments in it, and a thread has none by itself."""
    shares = Shares([1] * 4, 2)
    with torch.inference_mode():
        tensors = [torch.zeros(1) for _ in range(4)]
        shares.each(lambda i: tensors[i].fill_(i))
    assert [float(tensor) for tensor in tensors] == [0, 1, 2, 3]
    shares.close()
