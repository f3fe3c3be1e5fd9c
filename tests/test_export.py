"""Our environments in other libraries, trained by the real ones where they are installed."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode

import rlgpu
from rlgpu.export.common import action_space, seen_by
from rlgpu.export.gymnasium import GymnasiumEnv
from rlgpu.spaces import Discrete, numbers


@pytest.fixture
def cartpoles():
    """16 Cartpoles with short episodes, so that some end by time and others by failure."""
    env = rlgpu.make_env("Cartpole", num_envs=16, seed=1, sim="mujoco",
                         task_={"episode_length": 30})  # fmt: skip
    yield env
    env.sim.close()


def test_a_vector_environment_says_what_ours_does(cartpoles) -> None:
    """Spaces contain what comes; final observations where episodes end, by either way."""
    env = GymnasiumEnv(cartpoles)
    assert env.metadata["autoreset_mode"] == AutoresetMode.SAME_STEP
    observations, _ = env.reset(seed=3)
    assert env.observation_space.contains(observations)
    env.action_space.seed(0)
    limits, failures = 0, 0
    for _ in range(70):
        actions = env.action_space.sample()
        before = observations
        observations, rewards, terminated, truncated, info = env.step(actions)
        assert env.observation_space.contains(observations)
        assert rewards.shape == (16,)
        for i in np.flatnonzero(terminated | truncated):
            assert not np.array_equal(info["final_obs"][i], observations[i])
            assert abs(observations[i][0]) <= 0.1
            assert info["_final_obs"][i]
        limits, failures = limits + truncated.sum(), failures + terminated.sum()
        assert not np.shares_memory(before, observations)
    assert limits > 0
    assert failures > 0
    again, _ = env.reset(seed=3)
    assert np.abs(again[:, 0]).max() <= 0.1


def test_a_seed_repeats_the_episodes(cartpoles) -> None:
    """From the reset on."""
    env = GymnasiumEnv(cartpoles)
    first, _ = env.reset(seed=7)
    env.step(env.action_space.sample())
    again, _ = env.reset(seed=7)
    other, _ = env.reset(seed=8)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_choices_and_privileged_columns_have_their_spaces(cartpoles) -> None:
    """One choice is Discrete, several are MultiDiscrete; the actor sees fewer columns."""
    cartpoles.action_space = Discrete((3,))
    assert action_space(cartpoles).n == 3
    cartpoles.action_space = Discrete((3, 2))
    assert action_space(cartpoles).nvec.tolist() == [3, 2]
    cartpoles.observation_space = numbers(4, privileged=1)
    assert seen_by(cartpoles, "actor") == [0, 1, 2]
    assert seen_by(cartpoles, "critic") == [0, 1, 2, 3]


def test_stable_baselines3_trains(cartpoles) -> None:
    """Its PPO, a few updates: time limits reach it, and episodes get longer or fail less."""
    baselines = pytest.importorskip("stable_baselines3")
    from rlgpu.export.stable_baselines3 import StableBaselines3Env

    env = StableBaselines3Env(cartpoles)
    model = baselines.PPO("MlpPolicy", env, n_steps=32, batch_size=128, n_epochs=2, seed=0,
                          device="cpu")  # fmt: skip
    model.learn(4 * 32 * 16)
    assert model.num_timesteps == 4 * 32 * 16
    env.reset()
    _, _, _, infos = env.step(np.zeros((16, 1), np.float32))
    assert len(infos) == 16


def test_rsl_rl_trains(cartpoles, tmp_path) -> None:
    """Its runner, a few iterations, with random ages at the start."""
    runners = pytest.importorskip("rsl_rl.runners")
    from rlgpu.export.rsl_rl import RslRlEnv

    model = {"class_name": "MLPModel", "hidden_dims": [16], "activation": "elu"}
    actor = {**model, "distribution_cfg": {"class_name": "GaussianDistribution", "init_std": 1.0}}
    config = {
        "num_steps_per_env": 8, "save_interval": 100, "logger": "tensorboard",
        "obs_groups": {"actor": ["policy"], "critic": ["critic"]}, "actor": actor, "critic": model,
        "algorithm": {"class_name": "PPO", "num_learning_epochs": 2, "num_mini_batches": 2,
                      "schedule": "adaptive", "desired_kl": 0.01, "rnd_cfg": None},
    }  # fmt: skip
    env = RslRlEnv(cartpoles)
    runner = runners.OnPolicyRunner(env, config, log_dir=str(tmp_path), device="cpu")
    before = [p.clone() for p in runner.alg.actor.parameters()]
    runner.learn(3, init_at_random_ep_len=True)
    after = list(runner.alg.actor.parameters())
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_rl_games_trains(cartpoles, tmp_path, monkeypatch) -> None:
    """Its runner, a few epochs, by the name that is registered."""
    torch_runner = pytest.importorskip("rl_games.torch_runner")
    from rlgpu.export.rl_games import register

    monkeypatch.chdir(tmp_path)
    register(cartpoles)
    network = {
        "name": "actor_critic", "separate": False,
        "space": {"continuous": {
            "mu_activation": "None", "sigma_activation": "None", "fixed_sigma": True,
            "mu_init": {"name": "default"}, "sigma_init": {"name": "const_initializer", "val": 0},
        }},
        "mlp": {"units": [16], "activation": "elu", "initializer": {"name": "default"}},
    }  # fmt: skip
    config = {
        "name": "cartpole", "env_name": "rlgpu", "num_actors": 16, "horizon_length": 8,
        "minibatch_size": 64, "mini_epochs": 2, "max_epochs": 3, "gamma": 0.99, "tau": 0.95,
        "learning_rate": 1e-3, "lr_schedule": "adaptive", "kl_threshold": 0.008, "e_clip": 0.2,
        "critic_coef": 2, "clip_value": True, "bounds_loss_coef": 1e-4, "entropy_coef": 0.0,
        "normalize_input": True, "normalize_value": True, "normalize_advantage": True,
        "value_bootstrap": True, "ppo": True, "grad_norm": 1.0, "truncate_grads": True,
        "device": "cpu", "device_name": "cpu", "score_to_win": 1e9, "save_frequency": 0,
        "save_best_after": 1000, "print_stats": False, "torch_compile": False,
        "mixed_precision": False, "reward_shaper": {"scale_value": 1.0},
    }  # fmt: skip
    runner = torch_runner.Runner()
    runner.load({"params": {
        "seed": 1, "algo": {"name": "a2c_continuous"}, "network": network,
        "model": {"name": "continuous_a2c_logstd"}, "config": config,
    }})  # fmt: skip
    runner.run({"train": True, "play": False})
    assert list((tmp_path / "runs").glob("**/*.pth"))


def test_skrl_trains(cartpoles) -> None:
    """Its PPO and sequential trainer, on the vector environment."""
    pytest.importorskip("skrl")
    from skrl.agents.torch.ppo import PPO, PPO_CFG
    from skrl.envs.wrappers.torch import wrap_env
    from skrl.memories.torch import RandomMemory
    from skrl.models.torch import DeterministicMixin, GaussianMixin, Model
    from skrl.trainers.torch import SequentialTrainer

    env = wrap_env(GymnasiumEnv(cartpoles), wrapper="gymnasium")

    def layers(*sizes: int) -> torch.nn.Sequential:
        return torch.nn.Sequential(*(torch.nn.Linear(a, b) for a, b in pairwise(sizes)))

    spaces = {"observation_space": env.observation_space, "action_space": env.action_space,
              "device": env.device}  # fmt: skip

    class Actor(GaussianMixin, Model):
        def __init__(self) -> None:
            Model.__init__(self, **spaces)
            GaussianMixin.__init__(self)
            self.net, self.log_std = layers(4, 16, 1), torch.nn.Parameter(torch.zeros(1))

        def compute(self, inputs, role):
            return self.net(inputs["observations"]), {"log_std": self.log_std}

    class Critic(DeterministicMixin, Model):
        def __init__(self) -> None:
            Model.__init__(self, **spaces)
            DeterministicMixin.__init__(self)
            self.net = layers(4, 16, 1)

        def compute(self, inputs, role):
            return self.net(inputs["observations"]), {}

    agent = PPO(
        models={"policy": Actor(), "value": Critic()},
        memory=RandomMemory(memory_size=8, num_envs=16, device=env.device),
        cfg=PPO_CFG(rollouts=8, learning_epochs=2, mini_batches=2),
        observation_space=env.observation_space, action_space=env.action_space, device=env.device,
    )  # fmt: skip
    before = [p.clone() for p in agent.policy.parameters()]
    SequentialTrainer(cfg={"timesteps": 24, "headless": True}, env=env, agents=agent).train()
    after = list(agent.policy.parameters())
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))
