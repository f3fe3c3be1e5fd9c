"""Says how the schedules of a resumed run go on if its length has changed.

Schedules are functions of the iteration and of ``max_iterations``, as if the run had been planned
with its present length. So a run that had ended goes on from the middle of its schedule.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from rlgpu.config import Config
from rlgpu.learner.schedules import exploration_rate, linear_learning_rate

_RELATIVE = 0.01
"""Relative change that is worth a line."""


def describe_changed_schedules(content: Mapping[str, Any], config: Config) -> list[str]:
    """Returns a line for each schedule that goes on otherwise than in the checkpoint's run.

    Args:
        content: The checkpoint.
        config: The configuration of the resumed run.
    """
    train = config.train
    iteration, length = content["trainer"]["iteration"], content["config"]["max_iterations"]
    at = [(iteration - 1, length), (iteration, length), (iteration, config.max_iterations)]
    steps = [(torch.tensor(done), total) for done, total in at]
    schedules = []
    saved = content["config"]["train"]
    if train.schedule == saved["schedule"] == "linear":
        ends = [(train.learning_rate, train.min_learning_rate)] * 3
        ends[0] = (saved["learning_rate"], saved["min_learning_rate"])
        share = float(content["agent"].get("linear_share", 1.0))  # of train.kl_backoff
        rates = [
            share * linear_learning_rate(*each, *step, end=train.linear_end)
            for each, step in zip(ends, steps, strict=True)
        ]
        way = "train.schedule=constant keeps the last rate, train.learning_rate sets another"
        if config.algorithm != "PPO":
            way = "train.learning_rate sets another"
        schedules.append(("learning rate", rates, way))
    if config.algorithm == "DQN":
        rates = [exploration_rate(train.dqn, done, total) for done, total in steps]
        way = "train.dqn.initial_exploration sets another"
        schedules.append(("probability of random actions", rates, way))
    return [
        f"{name}: {following:.1e} in the next iteration, {last:.1e} in the last one: the schedule "
        f"now spans {config.max_iterations} iterations instead of {length}; {way}"
        for name, (last, planned, following), way in schedules
        if abs(following - planned) > _RELATIVE * planned
    ]
