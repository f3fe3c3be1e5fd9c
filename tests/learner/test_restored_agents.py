"""What agents know after the weights of a checkpoint, or all of it, have been restored."""

from __future__ import annotations

import torch

from tests.learner.test_ppo import agent, rollout


def test_weights_alone_predict_the_same_values() -> None:
    """Returns around 50, so that a critic in units of its own would predict about 0."""
    ours, other = agent(learning_rate=1e-2), agent()
    storage = rollout(ours)
    storage.rewards.fill_(50.0)
    ours.update(storage)
    other.load_policy(ours.state_dict())
    x = storage.observations[0]
    assert ours._value(x).mean() > 10.0
    assert torch.equal(ours._value(x), other._value(x))
