"""Our environments in Stable-Baselines3, rsl_rl, rl_games and skrl, trained by the real ones."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from rlgpu.errors import UsageError
from rlgpu.export.gymnasium import GymnasiumEnv
from tests.export.conftest import COUNTER

pytestmark = pytest.mark.slow


def test_stable_baselines3_returns_time_limits_and_terminal_observations(make) -> None:
    """Two Counters, worked by hand: env 0 ends by time at step 3, env 1 in failure at step 5."""
    pytest.importorskip("stable_baselines3")
    from rlgpu.export.stable_baselines3 import StableBaselines3Env

    env = StableBaselines3Env(make(COUNTER, 2))
    assert env.reset().tolist() == [[0, 3], [0, 3]]
    steps = [env.step(np.array([0, 1])) for _ in range(5)]
    assert [x[0].tolist() for x in steps] == [
        [[1, 3], [1, 4]], [[2, 3], [2, 4]], [[0, 3], [3, 4]], [[1, 3], [4, 4]], [[2, 3], [0, 3]],
    ]  # fmt: skip
    assert [x[1].tolist() for x in steps] == [[1, 1], [2, 2], [3, 3], [1, 4], [2, 5]]
    assert [x[2].tolist() for x in steps] == [
        [False, False], [False, False], [True, False], [False, False], [False, True],
    ]  # fmt: skip
    assert [x[3] for x in (steps[0], steps[1], steps[3])] == [[{}, {}]] * 3
    for step, index, row, by_time in ((steps[2], 0, [3, 3], True), (steps[4], 1, [5, 4], False)):
        info = step[3][index]
        assert info["terminal_observation"].tolist() == row
        assert info["TimeLimit.truncated"] is by_time
        assert step[3][1 - index] == {}


def test_stable_baselines3_seeds_its_next_reset_only(make) -> None:
    """As its own vector environments do."""
    pytest.importorskip("stable_baselines3")
    from rlgpu.export.stable_baselines3 import StableBaselines3Env

    env = StableBaselines3Env(make(num_envs=4))
    env.seed(5)
    five, later = env.reset(), env.reset()
    assert not np.array_equal(five, later)
    env.seed(6)
    assert not np.array_equal(env.reset(), five)
    env.step(np.zeros((4, 1), np.float32))
    env.seed(5)
    assert np.array_equal(env.reset(), five)
    assert np.array_equal(env.reset(), later)


def test_stable_baselines3_sees_the_policys_columns_and_the_tasks_bounds(make) -> None:
    """In its spaces, observations and terminal observations."""
    pytest.importorskip("stable_baselines3")
    from rlgpu.export.stable_baselines3 import StableBaselines3Env

    settings = {"hidden": ["cart_vel", "pole_vel"], "clip_actions": 100.0, "episode_length": 1}
    ours = make(num_envs=4, task_=settings)
    env = StableBaselines3Env(ours)
    assert env.observation_space.shape == (2,)
    assert env.action_space.high.tolist() == [100.0]
    env.seed(2)
    whole = make(num_envs=4, task_={"clip_actions": 100.0})
    first = whole.reset(seed=2).clone().numpy()
    assert np.array_equal(env.reset(), first[:, [0, 2]])
    infos = env.step(np.full((4, 1), 3.0, np.float32))[3]
    final = whole.step(torch.full((4, 1), 3.0)).observations.numpy()
    assert np.array_equal([info["terminal_observation"] for info in infos], final[:, [0, 2]])


def test_stable_baselines3_asks_for_attributes_by_index(make) -> None:
    """The environments are one object, so all of them have the same; none is wrapped."""
    pytest.importorskip("stable_baselines3")
    from stable_baselines3.common.monitor import Monitor

    from rlgpu.export.stable_baselines3 import StableBaselines3Env

    env = StableBaselines3Env(make(num_envs=3))
    assert env.get_attr("num_envs") == [3, 3, 3]
    assert env.get_attr("num_envs", indices=[0, 2]) == [3, 3]
    env.set_attr("render_mode", "rgb_array")
    assert env.get_attr("render_mode", indices=1) == ["rgb_array"]
    assert env.env_method("get_attr", "num_envs", indices=0) == [[3, 3, 3]]
    assert env.env_is_wrapped(Monitor) == [False, False, False]


def test_stable_baselines3_continues_the_return_at_time_limits_only(make) -> None:
    """Its PPO adds gamma times the terminal observation's value: 0.5 * 10 to a Counter's 3."""
    baselines = pytest.importorskip("stable_baselines3")
    from rlgpu.export.stable_baselines3 import StableBaselines3Env

    env = StableBaselines3Env(make(COUNTER, 8))
    model = baselines.PPO("MlpPolicy", env, n_steps=32, batch_size=128, n_epochs=1, seed=0,
                          gamma=0.5, device="cpu")  # fmt: skip
    seen = []

    def values(observations: torch.Tensor) -> torch.Tensor:
        seen.append(observations.clone())
        return torch.full((len(observations), 1), 10.0)

    model.policy.predict_values = values
    model.learn(32 * 8)
    rewards = set(model.rollout_buffer.rewards.flatten().tolist())
    assert rewards == {1.0, 2.0, 3.0, 4.0, 5.0, 8.0}  # 3 with action 4 goes on to 4 and 5
    terminal = [x for x in seen if len(x) == 1]
    assert terminal
    assert all(x.tolist() == [[3.0, 3.0]] for x in terminal)
    model.learn(32 * 8)  # resets a second time


def test_rsl_rl_trains(cartpoles, tmp_path) -> None:
    """Seeded, its runner, a few iterations, with random ages at the start."""
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
    assert env.seed(5) == 5
    five = env.get_observations()["policy"].clone()
    env.seed(6)
    assert not torch.equal(env.get_observations()["policy"], five)
    env.step(torch.zeros(16, 1))
    env.seed(5)
    assert torch.equal(env.get_observations()["policy"], five)
    assert torch.equal(env.reset()[0]["policy"], five)
    runner = runners.OnPolicyRunner(env, config, log_dir=str(tmp_path), device="cpu")
    before = [p.clone() for p in runner.alg.actor.parameters()]
    runner.learn(3, init_at_random_ep_len=True)
    after = list(runner.alg.actor.parameters())
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize(
    ("settings", "ended", "by_time"),
    [
        ({"episode_length": 2}, [0, 1], [False, True]),
        ({"reset_dist": 0.0}, [1, 1], [False, False]),
    ],
)
def test_rsl_rl_returns_ends_and_time_limits(make, settings, ended, by_time) -> None:
    """Cartpoles end in their second step by time, or in every step with no track to move on."""
    pytest.importorskip("tensordict")
    from rlgpu.export.rsl_rl import RslRlEnv

    ours = make(num_envs=3, task_=settings)
    env = RslRlEnv(ours)
    steps = [env.step(torch.full((3, 1), 0.5)) for _ in range(2)]
    assert [step[2].tolist() for step in steps] == [[value] * 3 for value in ended]
    assert [step[3]["time_outs"].tolist() for step in steps] == [[value] * 3 for value in by_time]
    assert torch.equal(steps[1][0]["policy"], ours.observations)


def test_rsl_rl_and_rl_games_get_single_precision(make) -> None:
    """Their networks have weights of float32, and some of Gymnasium's environments float64."""
    pytest.importorskip("tensordict")
    pytest.importorskip("rl_games.torch_runner")
    from rlgpu.export.rl_games import RlGamesEnv
    from rlgpu.export.rsl_rl import RslRlEnv

    ours = make(num_envs=2)
    ours.observations = ours.observations.double()
    groups, seen = RslRlEnv(ours).get_observations(), RlGamesEnv(ours).reset()
    assert groups["policy"].dtype == groups["critic"].dtype == seen.dtype == torch.float32
    assert torch.equal(groups["policy"], ours.observations.float())


def test_rsl_rl_reads_the_step_counts_of_gymnasiums_environments(make) -> None:
    """They cannot be set, as the environments count themselves: that is refused, not ignored."""
    pytest.importorskip("tensordict")
    from rlgpu.export.rsl_rl import RslRlEnv

    env = RslRlEnv(make("gym:Pendulum-v1", 2))
    assert env.episode_length_buf.tolist() == [0, 0]
    env.step(torch.zeros(2, 1))
    env.step(torch.zeros(2, 1))
    assert env.episode_length_buf.tolist() == [2, 2]
    with pytest.raises(UsageError) as refusal:
        env.episode_length_buf = torch.tensor([5, 6])
    assert refusal.value.key == "init_at_random_ep_len"
    env.reset()
    assert env.episode_length_buf.tolist() == [0, 0]


def test_rsl_rl_has_no_choices(make) -> None:
    """Environments with discrete actions are refused."""
    pytest.importorskip("tensordict")
    from rlgpu.export.rsl_rl import RslRlEnv

    with pytest.raises(UsageError) as refusal:
        RslRlEnv(make("gym:CartPole-v1", 2))
    assert (refusal.value.key, refusal.value.value) == ("action_space", "Discrete")
    assert refusal.value.allowed == ("Continuous",)


def test_rl_games_trains(cartpoles, make, tmp_path, monkeypatch) -> None:
    """Its algorithm, a few epochs, by the name that is registered and with the seed given."""
    torch_runner = pytest.importorskip("rl_games.torch_runner")
    from rlgpu.export.rl_games import register

    monkeypatch.chdir(tmp_path)
    register(cartpoles)
    twin = make(task_={"episode_length": 30})
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
        "env_config": {"seed": 6}, "value_bootstrap": True,
        "ppo": True, "grad_norm": 1.0, "truncate_grads": True,
        "device": "cpu", "device_name": "cpu", "score_to_win": 1e9, "save_frequency": 0,
        "save_best_after": 1000, "print_stats": False, "torch_compile": False,
        "mixed_precision": False, "reward_shaper": {"scale_value": 1.0},
    }  # fmt: skip
    runner = torch_runner.Runner()
    runner.load({"params": {
        "seed": 1, "algo": {"name": "a2c_continuous"}, "network": network,
        "model": {"name": "continuous_a2c_logstd"}, "config": config,
    }})  # fmt: skip
    runner.reset()
    agent = runner.algo_factory.create(runner.algo_name, base_name="run", params=runner.params)
    first = agent.vec_env.reset().clone()
    assert torch.equal(first, twin.reset(seed=6))  # env_config's seed, not the runner's
    before = [p.clone() for p in agent.model.parameters()]
    agent.train()
    assert agent.epoch_num == 3
    after = list(agent.model.parameters())
    assert all(not torch.equal(a, b) for a, b in zip(before, after, strict=True) if a.ndim == 2)


def test_rl_games_returns_ends_time_limits_and_states(make) -> None:
    """Two Counters, worked by hand; the columns hidden from the policy are among the states."""
    pytest.importorskip("rl_games.torch_runner")
    from rlgpu.export.rl_games import RlGamesEnv

    env = RlGamesEnv(make(COUNTER, 2))
    assert env.reset().tolist() == [[0, 3], [0, 3]]
    steps = [env.step(torch.tensor([0, 1])) for _ in range(5)]
    assert [x[1].tolist() for x in steps] == [[1, 1], [2, 2], [3, 3], [1, 4], [2, 5]]
    ended = [x[2].tolist() for x in steps]
    assert ended == [[False, False]] * 2 + [[True, False], [False, False], [False, True]]
    by_time = [x[3]["time_outs"].tolist() for x in steps]
    assert by_time == [[False, False]] * 2 + [[True, False], [False, False], [False, False]]
    hidden = make(num_envs=3, task_={"hidden": ["cart_vel"], "hidden_from": "policy"})
    seen = RlGamesEnv(hidden).reset()
    assert torch.equal(seen["obs"], hidden.observations[:, [0, 2, 3]])
    assert torch.equal(seen["states"], hidden.observations)
    info = RlGamesEnv(hidden).get_env_info()
    assert (info["observation_space"].shape, info["state_space"].shape) == ((3,), (4,))


@pytest.mark.parametrize(
    ("kind", "shown"), [("uint8", "uint8"), ("float32", "float32"), ("float64", "float32")]
)
def test_rl_games_is_told_of_images_and_of_numbers_in_single_precision(make, kind, shown) -> None:
    """Its networks divide bytes by 255 and have weights of float32."""
    pytest.importorskip("rl_games.torch_runner")
    from rlgpu.export.rl_games import RlGamesEnv

    ours = make(num_envs=2)
    ours.observation_space = replace(ours.observation_space, dtype=kind)
    env = RlGamesEnv(ours)
    space = env.get_env_info()["observation_space"]
    bounds = (0, 255) if shown == "uint8" else (-np.inf, np.inf)
    assert space.dtype == np.dtype(shown)
    assert (space.low.tolist(), space.high.tolist()) == ([bounds[0]] * 4, [bounds[1]] * 4)
    assert env.get_number_of_agents() == 1


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
