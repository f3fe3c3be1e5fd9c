"""Networks beyond plain layers: activations, normalisation, columns, images, masks, memory."""

from __future__ import annotations

import pytest
import torch

from rlgpu.config import TrainConfig
from rlgpu.errors import Conflict
from rlgpu.nn import ActorCritic, FlatParameters, Sequences
from rlgpu.nn.distributions import make_distribution
from rlgpu.ops import select_kernels
from rlgpu.spaces import Continuous, Discrete, ObservationSpace, Part, numbers
from tests.refusals import names

CPU = torch.device("cpu")
KERNELS = select_kernels("compiled", CPU)


def network(space, actions=Continuous(2), kernels=KERNELS, **changes) -> ActorCritic:  # noqa: B008
    torch.manual_seed(0)
    config = TrainConfig(hidden_sizes=[16, 8], **changes)
    return ActorCritic(space, make_distribution(actions, config, kernels), config, kernels)


@pytest.mark.parametrize("activation", ["elu", "relu", "tanh", "silu"])
@pytest.mark.parametrize("layer_norm", [False, True])
def test_layers_are_those_of_torch(activation, layer_norm) -> None:
    """Outputs and all gradients, against a torch.nn.Sequential with the same weights."""
    net = network(numbers(5), activation=activation, layer_norm=layer_norm)
    layers = net.actor.layers
    plain: list[torch.nn.Module] = []
    for index, linear in enumerate(layers.linear):
        if index:
            plain += [layers.norms[index - 1]] if layer_norm else []
            plain.append(
                {
                    "elu": torch.nn.ELU,
                    "relu": torch.nn.ReLU,
                    "tanh": torch.nn.Tanh,
                    "silu": torch.nn.SiLU,
                }[activation]()
            )
        plain.append(linear)
    x = torch.randn(7, 5, requires_grad=True)
    policy = net(x)
    ours = torch.cat((policy.outputs, policy.values[:, None]), dim=1)
    theirs = torch.nn.Sequential(*plain)(x)
    torch.testing.assert_close(ours, theirs)
    leaves = [x, *layers.parameters()]
    for a, b in zip(
        *(torch.autograd.grad(y.square().sum(), leaves) for y in (ours, theirs)), strict=True
    ):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_a_privileged_column_reaches_the_critic_alone() -> None:
    """The actor has fewer inputs, and its outputs do not change with what it may not see."""
    net = network(numbers(5, privileged=2))
    x = torch.randn(7, 5)
    other = x.clone()
    other[:, 3:] += 1.0
    before, after = net(x), net(other)
    assert torch.equal(before.outputs, after.outputs)
    assert not torch.isclose(before.values, after.values).any()
    assert net.actor.layers.linear[0].weight.shape == (16, 3)
    assert net.critic is not None


def test_a_column_seen_by_nobody_changes_nothing() -> None:
    """Neither output nor value."""
    space = ObservationSpace((Part("a", (2,)), Part("b", (1,), seen_by="nobody"), Part("c", (2,))))
    net = network(space)
    x = torch.randn(7, 5)
    other = x.clone()
    other[:, 2] = 9.0
    for a, b in zip(net(x)[:2], net(other)[:2], strict=True):
        assert torch.equal(a, b)


def test_a_forbidden_choice_is_never_likely() -> None:
    """Its logit is -inf; the mask is no input of the layers."""
    space = ObservationSpace((Part("a", (4,)), Part("mask", (5,), kind="mask")))
    net = network(space, Discrete((2, 3)))
    x = torch.randn(6, 9)
    x[:, 4:] = torch.tensor([1.0, 0.0, 0.0, 1.0, 1.0])
    outputs = net(x).outputs
    assert outputs.isinf().tolist() == [[False, True, True, False, False]] * 6
    assert net.actor.layers.linear[0].weight.shape[1] == 4


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_an_image_goes_through_convolutions(dtype) -> None:
    """As torch computes them; whole numbers to 255 count as 0 to 1."""
    space = ObservationSpace((Part("image", (12, 10, 3), kind="image"),), dtype)
    net = network(
        space, image_channels=[4, 6], image_kernels=[4, 3], image_strides=[2, 1], image_features=20
    )
    pixels = torch.randint(0, 256, (5, 360), dtype=torch.uint8)
    x = pixels if dtype == "uint8" else pixels / 255.0
    encoder = net.actor.images[0]
    images = (pixels / 255.0).view(5, 12, 10, 3).permute(0, 3, 1, 2)
    features = encoder.output(encoder.convolutions(images).flatten(1)).relu()
    torch.testing.assert_close(net(x).outputs, net.actor.layers(features)[:, :2])
    gradients = torch.autograd.grad(net(x).outputs.sum(), list(encoder.parameters()))
    assert all(gradient.any() for gradient in gradients)


def test_a_small_image_is_refused() -> None:
    """The message says which keys to change."""
    space = ObservationSpace((Part("image", (8, 8, 1), kind="image"),))
    with pytest.raises(Conflict) as refusal:
        network(space)
    assert refusal.value.key == "train.image_kernels"
    assert refusal.value.other == "train.image_strides"
    assert names(refusal.value, "8 x 8")


@pytest.mark.parametrize("kind", ["lstm", "gru"])
@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("memory_layers", [1, 2])
def test_training_on_sequences_computes_what_acting_step_by_step_computed(
    kind, separate, memory_layers
) -> None:
    """Outputs, values, and gradients of every parameter, with episodes that end inside."""
    net = network(
        numbers(5), memory=kind, memory_size=7, memory_layers=memory_layers, separate=separate
    ).double()
    net.actor.layers._is_fused = False  # the fused layers are float32
    if net.critic:
        net.critic.layers._is_fused = False
    steps, rows = 6, 4
    x = torch.randn(steps, rows, 5, dtype=torch.float64)
    ends = torch.rand(steps, rows) < 0.3
    assert ends[:-1].any()
    memory = torch.randn(rows, net.memory_size, dtype=torch.float64)
    state, outputs, values = memory, [], []
    for t in range(steps):
        policy = net(x[t], state)
        outputs.append(policy.outputs)
        values.append(policy.values)
        torch.testing.assert_close(net.value(x[t], state), policy.values)
        state = policy.memory.masked_fill(ends[t][:, None], 0.0)
    stepped = torch.cat(outputs), torch.cat(values)
    whole = net.sequences(x.flatten(0, 1), Sequences(memory, ends))[:2]
    leaves = [p for p in net.parameters() if p is not net.distribution.log_std]
    for a, b in zip(stepped, whole, strict=True):
        torch.testing.assert_close(a, b)
    gradients = [
        torch.autograd.grad(a.square().sum() + b.square().sum(), leaves)
        for a, b in (stepped, whole)
    ]
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b)
        assert a.any()


def test_a_critics_parameters_lie_together_and_aligned() -> None:
    """Gradients land where their parameters are; the padding stays zero."""
    net = network(numbers(5, privileged=1), Continuous(3))
    flat = FlatParameters(*net.groups())
    first, second = flat.groups
    assert second.start % 4 == 0
    assert second.start == first.stop
    policy = net(torch.randn(6, 5))
    given = (policy.outputs, policy.values, net.distribution.log_std)
    flat.backward(given, [torch.ones_like(x) for x in given])
    start = (net.distribution.log_std.data_ptr() - flat.params.data_ptr()) // 4
    assert flat.grads[start : start + 3].eq(1.0).all()
    bias = net.critic.layers.linear[-1].bias
    start = (bias.data_ptr() - flat.params.data_ptr()) // 4
    assert start >= second.start
    assert flat.grads[start].item() == pytest.approx(6.0)
