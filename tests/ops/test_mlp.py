"""mlp: agreement with the float64 reference and autograd, over odd shapes and depths."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
import torch

from rlgpu import _C
from rlgpu.ops import has_ppo_update, mlp, reference
from tests.ops.updates import NEEDS_AMX
from tests.refusals import names


def layers(sizes: list[int], device: torch.device, dtype=torch.float32):
    g = torch.Generator().manual_seed(1)
    weights, biases = [], []
    for fan_in, fan_out in pairwise(sizes):
        weights.append((torch.randn(fan_out, fan_in, generator=g) / fan_in**0.5).to(device, dtype))
        biases.append(torch.randn(fan_out, generator=g).to(device, dtype))
    return weights, biases


@pytest.mark.parametrize("rows", [0, 1, 31, 257, 1000])
@pytest.mark.parametrize("sizes", [[5, 3], [60, 256, 128, 64, 9], [7, 33, 1]])
@pytest.mark.parametrize("activation", ["elu", "relu", "tanh"])
def test_output_and_gradients_agree_with_the_float64_reference(
    rows, sizes, activation, device
) -> None:
    """Forward within float32 rounding; gradients of a random projection of the output."""
    g = torch.Generator().manual_seed(2)
    given = torch.randn(rows, sizes[0], generator=g).to(device)
    projection = torch.randn(rows, sizes[-1], generator=g).to(device)
    results = []
    for function, dtype in ((mlp, torch.float32), (reference.mlp, torch.float64)):
        weights, biases = layers(sizes, device, dtype)
        x = given.to(dtype, copy=True)
        trained = [p.requires_grad_() for p in (x, *weights, *biases)]
        output = function(x, weights, biases, activation=activation)
        (output * projection.to(dtype)).sum().backward()
        results.append([output.detach(), *(p.grad for p in trained)])
    for ours, wanted in zip(*results, strict=True):
        scale = max(wanted.abs().max().item(), 1e-6) if wanted.numel() else 1.0
        torch.testing.assert_close(ours.double(), wanted, rtol=1e-4, atol=2e-6 * scale)


@pytest.mark.parametrize(("precision", "step"), [("tf32", 2.0**-11), ("bf16", 2.0**-8)])
def test_lower_precision_rounds_only_the_operands(precision, step, device) -> None:
    """Output and gradients stay within a few rounding steps of the operands."""
    g = torch.Generator().manual_seed(2)
    x = torch.randn(300, 60, generator=g).to(device)
    results = []
    for function, dtype, chosen in (
        (mlp, torch.float32, precision),
        (reference.mlp, torch.float64, "fp32"),
    ):
        weights, biases = layers([60, 64, 9], device, dtype)
        parameters = [p.requires_grad_() for p in (*weights, *biases)]
        output = function(x.to(dtype), weights, biases, chosen)
        output.sum().backward()
        results.append([output.detach(), *(p.grad for p in parameters)])
    for ours, wanted in zip(*results, strict=True):
        scale = wanted.abs().max().item()
        torch.testing.assert_close(ours.double(), wanted, rtol=0, atol=4 * step * scale)


@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16"])
def test_a_row_does_not_depend_on_the_rows_beside_it(precision, device) -> None:
    """Acting on few rows and training on many give the same bits."""
    x = torch.randn(5120, 60, generator=torch.Generator().manual_seed(0)).to(device)
    weights, biases = layers([60, 256, 128, 64, 9], device)
    many = mlp(x, weights, biases, precision)
    for rows in (256, 512, 4096):
        assert torch.equal(mlp(x[:rows], weights, biases, precision), many[:rows])


def test_an_unknown_precision_is_refused() -> None:
    """The message lists the allowed precisions."""
    weights, biases = layers([3, 2], torch.device("cpu"))
    with pytest.raises(ValueError) as refusal:
        mlp(torch.zeros(2, 3), weights, biases, "fp8")
    assert names(refusal.value, "precision", "fp8", "fp32", "tf32", "bf16")


def test_elu_is_correct_from_minus_infinity_to_infinity(device) -> None:
    """A single unit of weight 1 computes ELU itself, here at its edge cases."""
    x = torch.tensor([-torch.inf, -100.0, -1.0, -1e-6, 0.0, 2.0, torch.inf], device=device)
    one, zero = torch.ones(1, 1, device=device), torch.zeros(1, device=device)
    y = mlp(x[:, None], [one, one], [zero, zero])[:, 0]
    wanted = torch.nn.functional.elu(x.double())
    torch.testing.assert_close(y.double(), wanted, rtol=1e-6, atol=1.3e-7)


@pytest.mark.parametrize("activation", ["elu", "relu", "tanh"])
def test_nan_stays_nan(activation, device) -> None:
    """The activation must not hide a broken input."""
    x = torch.full((2, 3), torch.nan, device=device)
    assert mlp(x, *layers([3, 4, 2], device), activation=activation).isnan().all()


def test_an_unknown_activation_is_refused() -> None:
    """The message lists the allowed ones."""
    weights, biases = layers([3, 2], torch.device("cpu"))
    with pytest.raises(ValueError) as refusal:
        mlp(torch.zeros(2, 3), weights, biases, activation="silu")
    assert names(refusal.value, "activation", "silu", "elu", "relu", "tanh")


def test_gradients_do_not_depend_on_the_number_of_threads() -> None:
    """Groups of rows are fixed and summed in order."""
    x = torch.randn(3000, 20, generator=torch.Generator().manual_seed(0))
    threads = torch.get_num_threads()
    grads = []
    for count in (1, 2):
        torch.set_num_threads(count)
        weights, biases = layers([20, 32, 4], torch.device("cpu"))
        weights[0].requires_grad_()
        mlp(x, weights, biases).square().sum().backward()
        grads.append(weights[0].grad)
    torch.set_num_threads(threads)
    assert torch.equal(*grads)


def test_a_weight_of_the_wrong_width_is_refused() -> None:
    """The message names the op and the argument."""
    weights, biases = layers([4, 5, 2], torch.device("cpu"))
    with pytest.raises(ValueError) as refusal:
        mlp(torch.zeros(2, 3), weights, biases)
    assert names(refusal.value, "mlp_forward", "weights", [5, 4], [5, 3])


def test_opcheck_accepts_schemas_and_fake_kernels(device) -> None:
    """Torch's own check of the registration, forward and backward."""
    weights, biases = layers([4, 5, 2], device)
    x = torch.randn(6, 4, device=device)
    torch.library.opcheck(torch.ops.rlgpu.mlp_forward.default, (x, weights, biases, "tf32", "elu"))
    activations = torch.ops.rlgpu.mlp_forward(x, weights, biases, "tf32", "elu")
    grad = torch.randn(6, 2, device=device)
    torch.library.opcheck(
        torch.ops.rlgpu.mlp_backward.default,
        (grad, x, weights, activations, "tf32", "relu", True),
    )


@pytest.fixture
def no_tiles() -> Iterator[None]:
    """A CPU without AVX2, as far as the layers can tell."""
    before = _C.limit_tile_lanes(0)
    yield
    _C.limit_tile_lanes(before)


@pytest.mark.parametrize("activation", ["elu", "relu", "tanh"])
def test_other_cpus_compute_the_same_with_torchs_products(activation, no_tiles) -> None:
    """Output and gradients, to the rounding of float32; ``ppo_update`` is refused there."""
    assert _C.tile_panel() == 0
    assert not has_ppo_update(torch.device("cpu"))
    test_output_and_gradients_agree_with_the_float64_reference(
        257, [60, 256, 128, 64, 9], activation, torch.device("cpu")
    )


def test_this_cpus_tiles_are_those_of_its_vectors() -> None:
    """Sixteen columns with AVX2, 32 with AVX-512, which has not run where it is missing."""
    capability = torch.backends.cpu.get_cpu_capability()
    wanted = {"AVX2": (16,), "AVX512": (32,)}.get(capability, (0, 16, 32))
    assert _C.tile_panel() in wanted


@NEEDS_AMX
@pytest.mark.parametrize("rows", [0, 1, 31, 33, 64, 130])
@pytest.mark.parametrize("sizes", [[4, 3], [10, 32, 16, 5], [47, 101, 50, 13], [1024, 40, 1024, 2]])
@pytest.mark.parametrize("activation", ["elu", "relu", "tanh"])
def test_tiles_of_halves_compute_what_torchs_products_of_rounded_operands_do(
    rows, sizes, activation
) -> None:
    """Single precision's rounding moves some values to the next half, by a share of 4e-3."""
    weights, biases = layers(sizes, torch.device("cpu"))
    for tensor in (*weights, *biases):
        tensor.requires_grad_()
    x = torch.randn(rows, sizes[0], requires_grad=True)
    grad, found = torch.randn(rows, sizes[-1]), []
    for lanes in (-1, 16):
        before = _C.limit_tile_lanes(lanes)
        assert _C.has_half_tiles() == (lanes < 0)
        y = mlp(x, weights, biases, "bf16", activation)
        found.append([y, *torch.autograd.grad(y, [x, *weights, *biases], grad)])
        _C.limit_tile_lanes(before)
    for ours, wanted in zip(*found, strict=True):
        assert (ours - wanted).norm() <= 1e-3 * wanted.norm() + 1e-6


@NEEDS_AMX
def test_layers_too_wide_for_tiles_of_halves_are_torchs_products() -> None:
    """The same bits as without tiles."""
    weights, biases = layers([3, 1025, 2], torch.device("cpu"))
    x = torch.randn(9, 3)
    ours = mlp(x, weights, biases, "bf16")
    before = _C.limit_tile_lanes(16)
    wanted = mlp(x, weights, biases, "bf16")
    _C.limit_tile_lanes(before)
    assert torch.equal(ours, wanted)
