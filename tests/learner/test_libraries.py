"""A preset's update beside its library's own, from the same weights and the same rollout.

The libraries are not installed with rlgpu; their tests are skipped without them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from rlgpu.config import TrainConfig
from rlgpu.config.presets import read_preset
from rlgpu.learner import Ppo, RolloutStorage
from rlgpu.ops import select_kernels
from rlgpu.spaces import Continuous, numbers

CPU = torch.device("cpu")
T, N, O, A = 24, 8, 5, 2  # noqa: E741
ROWS = T * N


def agent(preset: str, **changes) -> Ppo:
    """An agent by a preset whose minibatches are those of ``torch.randperm``."""
    values = {**read_preset(preset), "hidden_sizes": [16, 8], "horizon_length": T, **changes}
    config = dataclasses.replace(TrainConfig(), **values)
    kernels = select_kernels("compiled", CPU)
    return Ppo(
        config,
        numbers(O),
        Continuous(A),
        max_iterations=10,
        num_minibatches=config.num_minibatches,
        device=CPU,
        seed=3,
        kernels=kernels._replace(shuffle=lambda _, count: torch.randperm(count)),
    )


def filled(ppo: Ppo) -> RolloutStorage:
    """A rollout of random numbers, with failures and time limits."""
    storage, g = ppo.new_storage(N), torch.Generator().manual_seed(0)
    for t in range(T):
        storage.observations[t] = 2.0 * torch.randn(N, O, generator=g) + 1.0
        ppo.act(storage, t)
        storage.rewards[t] = torch.randn(N, generator=g)
        failed, late = torch.rand(2, N, generator=g) < 0.1
        storage.terminated[t], storage.truncated[t] = failed, late & ~failed
    storage.last_observations.copy_(torch.randn(N, O, generator=g))
    return storage


def copy_layers(ours: nn.Module, theirs: nn.Module) -> None:
    """Copies the weights of linear layers, in their order."""
    for target, source in zip(linear(theirs), linear(ours), strict=True):
        target.load_state_dict(source.state_dict())


def linear(module: nn.Module) -> Iterator[nn.Linear]:
    return (layer for layer in module.modules() if isinstance(layer, nn.Linear))


def assert_same_layers(ours: nn.Module, theirs: nn.Module, start: list[Tensor]) -> None:
    """Compares weights; they must have moved much farther than the tolerance."""
    for a, b, before in zip(linear(ours), linear(theirs), start, strict=True):
        assert (a.weight - before).abs().max() > 1e-3
        torch.testing.assert_close(a.weight, b.weight, rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("preset", "rate"), [("rsl_rl", 1e-3), ("rsl_rl", 1e-2), ("rsl_rl_3", 1e-3)]
)
def test_an_update_is_rsl_rls(preset, rate, monkeypatch) -> None:
    """Weights and learning rate after 20 steps; up to version 3, with its clipping and first KL."""
    ppo_module = pytest.importorskip("rsl_rl.algorithms.ppo")
    models = pytest.importorskip("rsl_rl.models.mlp_model")
    storages = pytest.importorskip("rsl_rl.storage.rollout_storage")
    tensordict = pytest.importorskip("tensordict")
    ours = agent(preset, learning_rate=rate, entropy_coef=0.0)
    storage = filled(ours)

    def named(observations: Tensor):
        return tensordict.TensorDict({"policy": observations}, batch_size=[N])

    groups, first = {"actor": ["policy"], "critic": ["policy"]}, named(storage.observations[0])
    gaussian = {"class_name": "rsl_rl.modules.distribution:GaussianDistribution", "std_type": "log"}
    actor, critic = (
        models.MLPModel(first, groups, name, size, hidden_dims=(16, 8), distribution_cfg=given)
        for name, size, given in (("actor", A, gaussian), ("critic", 1, None))
    )
    copy_layers(ours.network.actor, actor)
    copy_layers(ours.network.critic, critic)
    theirs = ppo_module.PPO(
        actor,
        critic,
        storages.RolloutStorage("rl", N, T, first, [A]),
        learning_rate=rate,
        entropy_coef=0.0,
    )
    for t in range(T):
        step, now = theirs.transition, named(storage.observations[t])
        actor(now, stochastic_output=True)
        step.observations, step.actions = now, storage.actions[t]
        step.values, step.actions_log_prob = critic(now).detach(), storage.log_probs[t]
        step.distribution_params = tuple(p.detach() for p in actor.output_distribution_params)
        theirs.process_env_step(
            now, storage.rewards[t], storage.ended[t], {"time_outs": storage.truncated[t]}
        )
    theirs.compute_returns(named(storage.last_observations))
    if preset == "rsl_rl_3":
        behave_as_version_3(theirs, actor, critic, monkeypatch)
    start = [layer.weight.detach().clone() for layer in linear(ours.network.actor)]
    torch.manual_seed(0)
    theirs.update()
    torch.manual_seed(0)
    ours.update(storage)
    assert ours.learning_rate.item() == pytest.approx(theirs.learning_rate)
    assert theirs.learning_rate != rate
    assert_same_layers(ours.network.actor, actor, start)


def behave_as_version_3(theirs, actor, critic, monkeypatch) -> None:
    """Gives version 5 the one norm of all gradients, and 1e-5 in the KL's logarithm."""
    clip, exact = nn.utils.clip_grad_norm_, actor.get_kl_divergence
    everything = [*actor.parameters(), *critic.parameters()]

    def clip_once(parameters, norm):
        if next(iter(parameters)) is next(actor.parameters()):
            clip(everything, norm)

    monkeypatch.setattr(nn.utils, "clip_grad_norm_", clip_once)
    monkeypatch.setattr(
        actor, "get_kl_divergence", lambda *pair: exact(*pair) + 1e-5 * A, raising=False
    )


def skrl_models(ours: Ppo):
    """Returns models of skrl with the layers of a separate actor and critic."""
    base = pytest.importorskip("skrl.models.torch")
    box = pytest.importorskip("gymnasium.spaces").Box

    def network(size: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Linear(O, 16), nn.ELU(), nn.Linear(16, 8), nn.ELU(), nn.Linear(8, size)
        )

    spaces = {
        "observation_space": box(-1e9, 1e9, (O,)),
        "action_space": box(-1e9, 1e9, (A,)),
        "device": "cpu",
    }

    class Policy(base.GaussianMixin, base.Model):
        def __init__(self) -> None:
            base.Model.__init__(self, **spaces)
            base.GaussianMixin.__init__(self)
            self.net, self.log_std = network(A), nn.Parameter(torch.zeros(A))

        def compute(self, inputs, role):
            return self.net(inputs["observations"]), {"log_std": self.log_std}

    class Value(base.DeterministicMixin, base.Model):
        def __init__(self) -> None:
            base.Model.__init__(self, **spaces)
            base.DeterministicMixin.__init__(self)
            self.net = network(1)

        def compute(self, inputs, role):
            return self.net(inputs["observations"]), {}

    policy, value = Policy(), Value()
    copy_layers(ours.network.actor, policy.net)
    copy_layers(ours.network.critic, value.net)
    return policy, value


def skrl_agent(policy, value, rate: float):
    """Returns skrl's PPO of these models, with the preset's settings."""
    from skrl.agents.torch import ppo as ppo_module
    from skrl.memories import torch as memories
    from skrl.resources.preprocessors.torch import RunningStandardScaler as scaler
    from skrl.resources.schedulers import torch as schedulers

    config = read_preset("skrl")
    return ppo_module.PPO(
        models={"policy": policy, "value": value},
        memory=memories.RandomMemory(memory_size=T, num_envs=N, device="cpu"),
        observation_space=policy.observation_space,
        action_space=policy.action_space,
        device="cpu",
        cfg={
            "rollouts": T,
            "learning_epochs": config["num_epochs"],
            "mini_batches": config["num_minibatches"],
            "learning_rate": rate,
            "learning_rate_scheduler": schedulers.KLAdaptiveLR,
            "learning_rate_scheduler_kwargs": {"kl_threshold": config["adaptive_kl"]},
            "observation_preprocessor": scaler,
            "observation_preprocessor_kwargs": {"size": policy.observation_space},
            "grad_norm_clip": config["max_grad_norm"],
            "value_clip": 0.0,
            "value_loss_scale": 1.0,
            "experiment": {"write_interval": 0, "checkpoint_interval": 0},
        },
    )


@pytest.mark.slow
@pytest.mark.parametrize("rate", [5e-4, 1e-2])
def test_an_update_is_skrls(rate, monkeypatch) -> None:
    """Weights, learning rate and statistics, without what the preset says it does not reproduce."""
    pytest.importorskip("skrl")
    ours = agent(
        "skrl", learning_rate=rate, separate=True, normalize_values=False, clip_value=False
    )
    ours.observation_normalizer.count.fill_(1.0)  # skrl counts its start as one row
    storage = filled(ours)
    storage.truncated.zero_()
    policy, value = skrl_models(ours)
    theirs = skrl_agent(policy, value, rate)
    theirs.init()
    for t in range(T):
        theirs.memory.add_samples(
            observations=storage.observations[t],
            states=None,
            actions=storage.actions[t],
            rewards=storage.rewards[t][:, None],
            terminated=storage.terminated[t][:, None],
            truncated=storage.truncated[t][:, None],
            log_prob=storage.log_probs[t][:, None],
            values=storage.values[t][:, None],
        )
    theirs._current_next_observations = storage.last_observations
    start = [layer.weight.detach().clone() for layer in linear(ours.network.actor)]
    drawn, permutation = torch.Generator(), torch.randperm  # the policy samples in between
    monkeypatch.setattr(torch, "randperm", lambda count, **_: permutation(count, generator=drawn))
    drawn.manual_seed(0)
    with monkeypatch.context() as patch:  # population variance, as of ours
        variance = torch.var
        patch.setattr(torch, "var", lambda x, dim: variance(x, dim=dim, correction=0))
        theirs.update(timestep=0, timesteps=1)
    drawn.manual_seed(0)
    ours.update(storage)
    found = theirs.optimizer.param_groups[0]["lr"]
    assert ours.learning_rate.item() == pytest.approx(found)
    assert found != rate
    mean = theirs._observation_preprocessor.running_mean
    torch.testing.assert_close(ours.observation_normalizer.mean, mean, rtol=1e-5, atol=1e-6)
    assert_same_layers(ours.network.actor, policy.net, start)


@pytest.mark.parametrize("preset", ["cleanrl", "atari"])
def test_the_last_iteration_has_cleanrls_rate(preset) -> None:
    """``frac = 1.0 - (iteration - 1.0) / num_iterations``, iterations from 1: 1/10 in the last."""
    ours = agent(preset, num_minibatches=4, num_epochs=1, kl_backoff=1.0)
    rates = []
    for _ in range(10):
        rates.append(ours.update(filled(ours)).learning_rate.item() / ours.config.learning_rate)
    assert rates == pytest.approx([1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1])
