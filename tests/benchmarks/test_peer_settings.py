"""The same settings in each library's own words."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from benchmarks.peer_settings import (
    ANT_RL_GAMES,
    CARTPOLE_RL_GAMES,
    CARTPOLE_RSL_RL,
    Spec,
    rl_games_params,
    rlgpu_settings,
    rsl_rl_config,
    skrl_config,
    stable_baselines3_settings,
)
from rlgpu.config import TrainConfig

SPEC = Spec(
    num_envs=24,
    horizon_length=10,
    hidden_sizes=(7, 5),
    num_epochs=3,
    num_minibatches=6,
    gamma=0.9,
    gae_lambda=0.8,
    clip_ratio=0.3,
    learning_rate=0.001,
    entropy_coef=0.02,
    value_loss_coef=4.0,
    max_grad_norm=0.5,
    reward_scale=0.1,
)
CPU = torch.device("cpu")


def test_every_library_gets_every_setting():
    """240 rows in 6 minibatches are 40; a value loss without a half has half the coefficient."""
    ours = TrainConfig(**rlgpu_settings(SPEC))
    theirs = rl_games_params(SPEC, CPU, seed=3, config={"max_epochs": 2})
    assert theirs["seed"] == 3
    assert theirs["network"]["mlp"]["units"] == ours.hidden_sizes == [7, 5]
    theirs = theirs["config"]
    rsl, skrl, baselines = rsl_rl_config(SPEC), skrl_config(SPEC), stable_baselines3_settings(SPEC)
    algorithm, agent = rsl["algorithm"], skrl["agent"]
    names = ("horizon_length", "mini_epochs", "gamma", "tau", "e_clip", "learning_rate",
             "entropy_coef", "critic_coef", "grad_norm", "minibatch_size")  # fmt: skip
    assert [theirs[n] for n in names] == [10, 3, 0.9, 0.8, 0.3, 0.001, 0.02, 4.0, 0.5, 40]
    assert theirs["truncate_grads"] is True
    assert theirs["reward_shaper"] == {"scale_value": 0.1}
    assert theirs["max_epochs"] == 2
    names = ("num_learning_epochs", "num_mini_batches", "gamma", "lam", "clip_param",
             "learning_rate", "entropy_coef", "value_loss_coef", "max_grad_norm")  # fmt: skip
    assert [algorithm[n] for n in names] == [3, 6, 0.9, 0.8, 0.3, 0.001, 0.02, 2.0, 0.5]
    assert rsl["num_steps_per_env"] == 10
    names = ("rollouts", "learning_epochs", "mini_batches", "discount_factor", "gae_lambda",
             "ratio_clip", "value_clip", "learning_rate", "entropy_loss_scale",
             "value_loss_scale", "grad_norm_clip", "rewards_shaper_scale")  # fmt: skip
    assert [agent[n] for n in names] == [
        10, 3, 6, 0.9, 0.8, 0.3, 0.3, 0.001, 0.02, 2.0, 0.5, 0.1,
    ]  # fmt: skip
    assert skrl["trainer"]["timesteps"] == 10
    names = ("n_steps", "batch_size", "n_epochs", "gamma", "gae_lambda", "clip_range")
    assert [baselines[n] for n in names] == [10, 40, 3, 0.9, 0.8, 0.3]
    assert baselines["learning_rate"] == ours.learning_rate == 0.001
    assert (ours.value_loss_coef, ours.max_grad_norm, ours.reward_scale) == (4.0, 0.5, 0.1)


def test_gradients_that_nobody_clips_keep_each_librarys_way():
    """rl_games switches clipping off, skrl takes 0, and rsl_rl clips by its default."""
    spec = replace(SPEC, max_grad_norm=0.0)
    assert rl_games_params(spec, CPU, seed=1)["config"]["truncate_grads"] is False
    assert skrl_config(spec)["agent"]["grad_norm_clip"] == 0.0
    assert "max_grad_norm" not in rsl_rl_config(spec)["algorithm"]


def test_tasks_have_the_settings_of_their_sources():
    """IsaacGymEnvs' AntPPO.yaml and CartpolePPO.yaml, and legged_gym's default runner."""
    names = ("minibatch_size", "mini_epochs", "critic_coef", "truncate_grads", "learning_rate")
    ant = rl_games_params(ANT_RL_GAMES, CPU, seed=1)["config"]
    assert [ant[n] for n in names] == [32768, 4, 2.0, False, 3e-4]
    cartpole = rl_games_params(CARTPOLE_RL_GAMES, CPU, seed=1)["config"]
    assert [cartpole[n] for n in names] == [8192, 8, 4.0, True, 3e-4]
    legged = rsl_rl_config(CARTPOLE_RSL_RL)
    assert legged["num_steps_per_env"] == 24
    assert legged["algorithm"]["learning_rate"] == 1e-3
    assert legged["algorithm"]["value_loss_coef"] == 1.0


def test_one_description_does_not_change_with_another():
    """Each call returns new nested values."""
    first = rsl_rl_config(SPEC)
    first["actor"]["hidden_dims"].append(1)
    assert rsl_rl_config(SPEC)["actor"]["hidden_dims"] == [7, 5]


def test_rollouts_split_into_equal_minibatches():
    """24 x 10 rows do not split into 7."""
    with pytest.raises(ValueError, match="num_minibatches"):
        replace(SPEC, num_minibatches=7)
