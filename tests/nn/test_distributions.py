"""Distributions of actions, against torch.distributions in float64."""

from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import Categorical as TorchCategorical
from torch.distributions import Normal, TransformedDistribution, kl_divergence
from torch.distributions.transforms import TanhTransform

from rlgpu.config import TrainConfig
from rlgpu.nn.distributions import (
    Categorical,
    Gaussian,
    SquashedNormal,
    StateGaussian,
    make_distribution,
)
from rlgpu.ops import METRICS, ActionSlot, PpoBatch, PpoCoefficients, select_kernels
from rlgpu.spaces import Continuous, Discrete

CPU = torch.device("cpu")
KERNELS = select_kernels("torch", CPU)
CHOICES = (3, 2, 5)
B = 64


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=g, dtype=torch.float64)


def empty_slot(rows: int, num_actions: int, num_outputs: int) -> ActionSlot:
    return ActionSlot(
        torch.empty(rows, num_actions),
        torch.empty(rows),
        torch.empty(rows, num_outputs),
        torch.empty(rows),
    )


class Case:
    """One distribution with outputs, actions, and torch's opinion of them."""

    def __init__(self, kind: str) -> None:
        if kind == "gaussian":
            self.ours = Gaussian(3, 0.0, KERNELS).double()
            self.old_log_std, self.log_std = random(3, seed=1), random(3, seed=2)
            with torch.no_grad():
                self.ours.log_std.copy_(self.old_log_std)
                self.ours.remember()
                self.ours.log_std.copy_(self.log_std)
            self.actions = random(B, 3, seed=5)
        elif kind == "state_gaussian":
            self.ours = StateGaussian(3, (-20.0, -0.5, 20.0), KERNELS).double()
            self.actions = random(B, 3, seed=5)
        elif kind == "tanh":
            normal = StateGaussian(3, (-20.0, -0.5, 20.0), KERNELS)
            self.ours = SquashedNormal(normal).double()
            self.actions = random(B, 3, seed=5)
        else:
            self.ours = Categorical(CHOICES, KERNELS).double()
            columns = [
                torch.randint(n, (B,), generator=torch.Generator().manual_seed(n)) for n in CHOICES
            ]
            self.actions = torch.stack(columns, dim=-1).double()
        self.old = 2.0 * random(B, self.ours.num_outputs, seed=3)
        self.new = (2.0 * random(B, self.ours.num_outputs, seed=4)).requires_grad_()

    def theirs(self, outputs: torch.Tensor, old: bool = False) -> list:
        """Returns torch's distributions, one an action."""
        if isinstance(self.ours, Gaussian):
            std = (self.old_log_std if old else self.ours.log_std).exp()
            return [Normal(outputs[:, i], std[i]) for i in range(3)]
        if isinstance(self.ours, StateGaussian | SquashedNormal):
            normal = [Normal(outputs[:, i], (outputs[:, 3 + i] - 0.5).exp()) for i in range(3)]
            if isinstance(self.ours, StateGaussian):
                return normal
            return [TransformedDistribution(d, [TanhTransform()]) for d in normal]
        return [TorchCategorical(logits=part) for part in outputs.split(list(CHOICES), dim=-1)]


@pytest.fixture(params=["gaussian", "state_gaussian", "tanh", "categorical"])
def case(request) -> Case:
    """Each kind of distribution."""
    return Case(request.param)


def same_with_gradients(ours: torch.Tensor, theirs: torch.Tensor, case: Case) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
    weights = random(*ours.shape, seed=9)
    leaves = [case.new, *(p for p in case.ours.parameters())]
    grads = [
        torch.autograd.grad((x * weights).sum(), leaves, allow_unused=True, retain_graph=True)
        for x in (ours, theirs)
    ]
    for a, b, leaf in zip(*grads, leaves, strict=True):
        zeros = torch.zeros_like(leaf)
        a, b = zeros if a is None else a, zeros if b is None else b  # noqa: PLW2901
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


def test_log_probabilities_and_their_gradients(case) -> None:
    """Sums over the actions."""
    applied = case.ours.applied(case.actions)
    theirs = sum(d.log_prob(applied[:, i]) for i, d in enumerate(case.theirs(case.new)))
    same_with_gradients(case.ours.log_prob(case.new, case.actions), theirs, case)


def test_entropies_and_their_gradients(case) -> None:
    """Sums over the actions; torch has none for squashed ones."""
    if isinstance(case.ours, SquashedNormal):
        return
    theirs = sum(d.entropy() for d in case.theirs(case.new))
    if isinstance(case.ours, Gaussian):
        theirs = theirs + 0.0 * case.new.sum(-1)
    same_with_gradients(case.ours.entropy(case.new).expand(B), theirs, case)


def test_divergences_from_the_old_policy_and_their_gradients(case) -> None:
    """KL(old || new)."""
    pairs = zip(case.theirs(case.old, old=True), case.theirs(case.new), strict=True)
    theirs = sum(kl_divergence(old, new) for old, new in pairs)
    same_with_gradients(case.ours.kl(case.old, case.new), theirs, case)


def test_the_entropy_of_squashed_actions_is_that_by_integration() -> None:
    """Minus the integral of p log p over a fine grid, and its gradient, for narrow and wide."""
    ours = SquashedNormal(StateGaussian(1, (-20.0, 0.0, 20.0), KERNELS)).double()
    mean = torch.linspace(-2.0, 2.0, 9, dtype=torch.float64)
    log_std = torch.linspace(-3.0, 0.5, 8, dtype=torch.float64)
    outputs = torch.cartesian_prod(mean, log_std).requires_grad_()
    std = outputs[:, 1:].exp()
    points = torch.linspace(-9.0, 9.0, 20001, dtype=torch.float64)
    log_p = ours.log_prob(
        outputs.repeat_interleave(len(points), dim=0),
        (outputs[:, :1] + std * points).reshape(-1, 1),
    ).view(len(outputs), -1)
    weights = (-0.5 * points.square()).exp() / math.sqrt(2 * math.pi) * (points[1] - points[0])
    wanted = -(log_p * weights).sum(-1)
    got = ours.entropy(outputs)
    torch.testing.assert_close(got, wanted, rtol=0, atol=2e-3)
    gradients = [torch.autograd.grad(x.sum(), outputs)[0] for x in (got, wanted)]
    torch.testing.assert_close(*gradients, rtol=0, atol=2e-2)


def test_squashed_actions_stay_within_their_bounds() -> None:
    """The environment gets the tanh; the density stays finite where the tanh is 1."""
    ours = SquashedNormal(Gaussian(2, 2.0, KERNELS))
    outputs, slot = torch.full((500, 2), 8.0), empty_slot(500, 2, 2)
    ours.sample(outputs, torch.zeros(500), torch.tensor([3, 0]), slot)
    applied = ours.applied(slot.actions)
    assert applied.abs().max() <= 1.0
    assert (applied == 1.0).any()
    assert slot.log_probs.isfinite().all()
    torch.testing.assert_close(slot.log_probs, ours.log_prob(outputs, slot.actions))


@pytest.mark.parametrize("kernels", ["torch", "compiled"])
def test_network_given_deviations_are_sampled_with_their_moments(kernels, device) -> None:
    """20 000 rows: within four standard deviations."""
    ours = StateGaussian(2, (-5.0, 0.0, 2.0), select_kernels(kernels, device)).to(device)
    outputs = torch.tensor([1.0, -2.0, math.log(0.5), math.log(2.0)], device=device)
    slot = ActionSlot(*(x.to(device) for x in empty_slot(20000, 2, 4)))
    values = torch.ones(20000, device=device)
    ours.sample(outputs.expand(20000, 4), values, torch.tensor([7, 0], device=device), slot)
    mean, std = outputs[:2], outputs[2:].exp()
    assert ((slot.actions.mean(0) - mean).abs() < 4 * std / 20000**0.5).all()
    assert ((slot.actions.std(0) / std - 1).abs() < 4 / 40000**0.5).all()


@pytest.mark.parametrize("std", [0.05, 0.5, 0.79, 0.81, 2.0, math.exp(2.0), math.exp(5.0)])
@pytest.mark.parametrize("mean", [0.0, 0.4, -3.0])
def test_the_entropy_of_squashed_actions_and_its_gradients_hold_for_any_spread(std, mean) -> None:
    """H = H(x) + E[log(1 - tanh^2 x)], by integration in float64.

    By parts, dE/dmean = E[-2 tanh x] and dE/dlog std = E[-2 tanh(x) (x - mean)].
    """
    step = min(std, 1.0) / 60
    x = torch.arange(mean - 12 * std, mean + 12 * std, step, dtype=torch.float64)
    weights = (-0.5 * ((x - mean) / std) ** 2).exp() * step / (std * math.sqrt(2 * math.pi))
    log_slope = -2.0 * torch.logaddexp(x, -x) + 2.0 * math.log(2.0)
    entropy = 0.5 * math.log(2 * math.pi * math.e) + math.log(std) + (weights * log_slope).sum()
    by_mean = (weights * -2.0 * x.tanh()).sum()
    by_log_std = 1.0 + (weights * -2.0 * x.tanh() * (x - mean)).sum()
    config = TrainConfig(
        action_distribution="tanh_gaussian", initial_log_std=math.log(std), max_log_std=20.0
    )
    ours = make_distribution(Continuous(1), config, select_kernels("compiled", CPU))
    outputs = torch.tensor([[mean]], requires_grad=True)
    found = ours.entropy(outputs).sum()
    gradients = torch.autograd.grad(found, (outputs, ours.log_std))
    for got, wanted in zip((found, *gradients), (entropy, by_mean, by_log_std), strict=True):
        assert got.item() == pytest.approx(wanted.item(), rel=1e-5, abs=2e-5)


@pytest.mark.parametrize("entropy_coef", [0.0, 0.01])
def test_a_parameter_of_its_own_gets_its_gradient_through_tanh(entropy_coef) -> None:
    """Without entropy bonus, squashing leaves the gradients of the surrogate as they are."""
    found = []
    for kind in ("gaussian", "tanh_gaussian"):
        ours = make_distribution(Continuous(3), TrainConfig(action_distribution=kind), KERNELS)
        ours.remember()
        outputs, values = random(B, 3).float(), random(B, seed=7).float()
        actions = random(B, 3, seed=1).float()
        with torch.no_grad():
            log_probs = ours.log_prob(outputs * 1.1, actions)
        batch = PpoBatch(
            torch.empty(B, 0),
            actions,
            log_probs,
            outputs * 1.1,
            *(random(B, seed=s).float() for s in (4, 5, 6)),
        )
        coefficients = PpoCoefficients(0.2, 2.0, True, entropy_coef, 0.0)
        found.append(ours.ppo_gradients(outputs, values, batch, coefficients.tensor(CPU)))
    for ours, theirs in zip(found[0][:3], found[1][:3], strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6) == (
            entropy_coef == 0.0 or ours is found[0][1]
        )


def test_the_mode_is_the_likeliest_action(case) -> None:
    """No other action has a larger log-probability."""
    if isinstance(case.ours, SquashedNormal):
        return  # its mode is that before tanh, which playing wants
    best = case.ours.log_prob(case.new, case.ours.mode(case.new))
    assert (best >= case.ours.log_prob(case.new, case.actions)).all()


def test_the_fused_gaussian_loss_is_the_generic_one() -> None:
    """Gradients and metrics, without a bounds loss."""
    ours = Gaussian(3, -0.3, KERNELS)
    ours.remember()
    outputs = random(B, 3).float()
    batch = PpoBatch(
        torch.empty(B, 0),
        random(B, 3, seed=1).float(),
        random(B, seed=2).float() - 4.0,
        random(B, 3, seed=3).float(),
        *(random(B, seed=s).float() for s in (4, 5, 6)),
    )
    values = random(B, seed=7).float()
    coefficients = PpoCoefficients(0.2, 2.0, True, 0.01, 0.0).tensor(torch.device("cpu"))
    fused = ours.ppo_gradients(outputs, values, batch, coefficients)
    generic = super(Gaussian, ours).ppo_gradients(outputs, values, batch, coefficients)
    torch.testing.assert_close(fused.outputs, generic.outputs)
    torch.testing.assert_close(fused.values, generic.values)
    bounds = METRICS.index("bounds_loss")
    rows = [i for i in range(len(METRICS)) if i != bounds]
    torch.testing.assert_close(fused.metrics[rows], generic.metrics[rows])


@pytest.mark.parametrize("kernels", ["torch", "compiled"])
def test_choices_are_sampled_with_their_probabilities(kernels, device) -> None:
    """20 000 rows: within four standard deviations; one that is masked never comes."""
    ours = Categorical(CHOICES, select_kernels(kernels, device)).to(device)
    probs = torch.tensor([0.2, 0.5, 0.3, 0.9, 0.1, 0.25, 0.25, 0.4, 0.1, 0.0], device=device)
    outputs = probs.log().expand(20000, 10)
    slot = ActionSlot(*(x.to(device) for x in empty_slot(20000, 3, 10)))
    state = torch.tensor([7, 0], device=device)
    ours.sample(outputs, torch.ones(20000, device=device), state, slot)
    assert state.tolist() == [7, 1]
    first = 0
    for action, count in enumerate(CHOICES):
        found = torch.stack([(slot.actions[:, action] == c).float().mean() for c in range(count)])
        wanted = probs[first : first + count]
        spread = (wanted * (1 - wanted) / 20000).sqrt()
        assert ((found - wanted).abs() <= 4 * spread).all()
        first += count
    torch.testing.assert_close(slot.log_probs, ours.log_prob(outputs, slot.actions))
    assert slot.log_probs.isfinite().all()
    assert torch.equal(slot.parameters, outputs)
    assert slot.values.eq(1).all()


def test_a_masked_choice_counts_nothing() -> None:
    """Two equal choices of three, by hand: entropy log 2, KL to 3 : 1 log(2 / sqrt 3)."""
    ours = Categorical((3,), KERNELS)
    even = torch.tensor([[0.0, 0.0, -math.inf]])
    uneven = torch.tensor([[math.log(3.0), 0.0, -math.inf]], requires_grad=True)
    assert ours.entropy(even).item() == pytest.approx(math.log(2.0))
    kl = ours.kl(even, uneven)
    assert kl.item() == pytest.approx(math.log(2.0 / math.sqrt(3.0)))
    (gradient,) = torch.autograd.grad(kl + ours.entropy(uneven), uneven)
    assert gradient.isfinite().all()


def test_the_same_state_samples_the_same_choices() -> None:
    """Another count of calls samples others."""
    ours = Categorical((4,), KERNELS)
    outputs, draws = torch.zeros(50, 4), []
    for count in (0, 0, 1):
        slot = empty_slot(50, 1, 4)
        ours.sample(outputs, torch.zeros(50), torch.tensor([3, count]), slot)
        draws.append(slot.actions)
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_a_space_has_its_distribution() -> None:
    """Numbers are Gaussian, choices categorical."""
    assert isinstance(make_distribution(Continuous(2), TrainConfig(), KERNELS), Gaussian)
    found = make_distribution(Discrete((2, 3)), TrainConfig(), KERNELS)
    assert (found.num_actions, found.num_outputs) == (2, 5)
