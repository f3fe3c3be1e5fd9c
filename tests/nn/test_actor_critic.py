"""ActorCritic and FlatParameters: shapes, sharing, initialisation, aliasing."""

from __future__ import annotations

import pytest
import torch

from rlgpu.config import TrainConfig
from rlgpu.nn import ActorCritic, FlatParameters
from rlgpu.nn.distributions import make_distribution
from rlgpu.ops import select_kernels
from rlgpu.spaces import Continuous, numbers

CPU = torch.device("cpu")


def network(kernels="compiled", separate: bool = False, **changes) -> ActorCritic:
    torch.manual_seed(0)
    config = TrainConfig(hidden_sizes=[16, 8], initial_log_std=-0.5, separate=separate, **changes)
    chosen = select_kernels(kernels, CPU)
    distribution = make_distribution(Continuous(2), config, chosen)
    return ActorCritic(numbers(5), distribution, config, chosen)


@pytest.mark.parametrize("separate", [False, True])
def test_means_and_values_have_their_shapes_and_agree_with_torch(separate) -> None:
    """[B, A] and [B]; the plain-torch reference gives the same up to rounding."""
    x = torch.randn(7, 5)
    ours, theirs = network(separate=separate)(x), network("torch", separate)(x)
    assert ours.outputs.shape == (7, 2)
    assert ours.values.shape == (7,)
    torch.testing.assert_close(ours.outputs, theirs.outputs)
    torch.testing.assert_close(ours.values, theirs.values)
    torch.testing.assert_close(network(separate=separate).value(x), ours.values)


@pytest.mark.parametrize("separate", [False, True])
def test_only_a_shared_trunk_lets_the_value_reach_the_actors_layers(separate) -> None:
    """With a separate critic, the value's gradient does not reach the actor."""
    net = network(separate=separate)
    net(torch.randn(7, 5)).values.sum().backward()
    grad = net.actor.layers.linear[0].weight.grad
    assert (grad is None or not grad.any()) == separate


@pytest.mark.parametrize("separate", [False, True])
def test_orthogonal_initialisation_has_its_gains(separate) -> None:
    """0.01 for the means' rows, 1 for the value's, sqrt(2) for the rest; zero biases."""
    net = network(separate=separate, weight_init="orthogonal")
    value = (net.critic or net.actor).layers.linear[-1].weight[-1]
    means = net.actor.layers.linear[-1].weight[:2]
    assert value.norm().item() == pytest.approx(1.0, rel=1e-5)
    torch.testing.assert_close(means @ means.t(), 1e-4 * torch.eye(2), atol=1e-8, rtol=0)
    assert not any(layer.bias.any() for layer in net.modules() if hasattr(layer, "bias"))
    w = net.actor.layers.linear[1].weight
    torch.testing.assert_close(w @ w.t(), 2 * torch.eye(8), atol=1e-5, rtol=0)


def test_flat_parameters_are_the_modules_parameters() -> None:
    """The network uses the parameter buffer; gradients are written to the gradient buffer."""
    net = network()
    before = net(torch.ones(1, 5)).outputs.clone()
    flat = FlatParameters(*net.groups())
    torch.testing.assert_close(net(torch.ones(1, 5)).outputs, before)
    policy = net(torch.ones(3, 5))
    gradients = [torch.ones_like(x) for x in (*policy[:2], net.distribution.log_std)]
    flat.backward((*policy[:2], net.distribution.log_std), gradients)
    assert flat.grads.abs().sum() > 0
    # log_std's gradient is the given one, at the same offset as its values.
    start = (net.distribution.log_std.data_ptr() - flat.params.data_ptr()) // 4
    assert flat.grads[start : start + len(net.distribution.log_std)].eq(1.0).all()


def test_matrices_are_aligned_so_that_a_gpu_can_load_four_numbers_at_once() -> None:
    """Parameters of odd size, such as three standard deviations, come last."""
    net = network()
    flat = FlatParameters(*net.groups())
    for parameter in net.parameters():
        if parameter.numel() % 4 == 0:
            assert (parameter.data_ptr() - flat.params.data_ptr()) % 16 == 0
    flat.params.zero_()
    assert not net(torch.ones(1, 5)).outputs.any()
    assert flat.params.numel() == sum(p.numel() for p in net.parameters())
