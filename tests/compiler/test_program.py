"""Compiled functions against the same functions as Python code."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from rlgpu.compiler import NotRecordable, Program, Recorded, compile_programs, find_compiler
from rlgpu.compiler.library import cache_folder
from rlgpu.device import host_may_branch

N = 7
CPU = torch.device("cpu")


class Toy:
    """Functions of the kinds that tasks have, on memory of their own."""

    def __init__(self) -> None:
        self.state = torch.linspace(-2.0, 3.0, N * 6).reshape(N, 6)
        self.position, self.velocity = self.state[:, :3], self.state[:, 3:]
        self.count = torch.zeros(N, dtype=torch.int64)
        self.total = torch.zeros(())
        self.generator = torch.Generator().manual_seed(5)
        self.matrix = torch.linspace(-1.0, 1.0, 9).reshape(3, 3)

    def views(self, actions: Tensor) -> tuple[Tensor, ...]:
        """Writes a view, reads the whole, and the other way round."""
        self.velocity += 0.1 * actions
        self.position.copy_(self.position + self.velocity)
        speed = self.state[:, 3:].norm(dim=-1)
        self.state[:, 0].clamp_(max=1.0)
        self.count += 1
        self.total.add_(speed.mean())
        far = self.position[:, 0] >= 1.0
        return speed, far, torch.where(far[:, None], self.state, -self.state)

    def shares(self, parts: Tensor) -> tuple[Tensor, ...]:
        """Divides integers."""
        return (torch.div(self.count, parts, rounding_mode="floor"),)

    def resets(self, mask: Tensor, values: Tensor) -> tuple[Tensor, ...]:
        """Draws random rows, multiplies matrices, and resets some rows."""
        noise = torch.rand(N, 3, generator=self.generator) - 0.5
        turned = (self.position + noise) @ self.matrix
        self.count.masked_fill_(mask, 0)
        self.state.copy_(torch.where(mask[:, None], torch.cat((turned, noise), -1), self.state))
        signs = torch.tensor([1.0, -1.0, 0.5])
        signs[2] += 0.5  # a constant that is written is new in each call
        self.state[mask] = 0.5  # Inductor has no loop for it
        axes = torch.linalg.cross(turned, self.velocity)
        angle = torch.atan2(axes[:, 0], axes[:, 1])
        seen = torch.stack((axes.sum(-1), angle, values * 2), -1)
        return seen, signs * turned.roll(1, -1), self.position


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Toy, list[Program]]]:
    try:
        find_compiler()
    except Exception as error:
        pytest.skip(str(error))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        toy = Toy()
        yield toy, compiled(toy)


def recorded(toy: Toy) -> list[Recorded]:
    views = Recorded(toy.views, (torch.zeros(N, 3),))
    mask, values = torch.zeros(N, dtype=torch.bool), torch.zeros(N)
    shares = Recorded(toy.shares, (torch.ones(N, dtype=torch.int64),))
    return [views, Recorded(toy.resets, (mask, values)), shares]


def compiled(toy: Toy, announce: Callable[[], None] = lambda: None) -> list[Program]:
    return compile_programs(recorded(toy), announce=announce)


def copied(toy: Toy, other: Toy) -> None:
    for name in ("state", "count", "total"):
        getattr(toy, name).copy_(getattr(other, name))
    toy.generator.set_state(other.generator.get_state())


def test_programs_do_what_their_functions_do(programs: tuple[Toy, list[Program]]) -> None:
    """Views, sums, resets, random numbers and products, over ten rounds of new arguments."""
    toy, (views, resets, shares) = programs
    plain = Toy()
    copied(toy, plain)
    g = torch.Generator().manual_seed(1)
    for _ in range(10):
        actions, values = torch.randn(N, 3, generator=g), torch.randn(N, generator=g)
        mask = torch.rand(N, generator=g) < 0.4
        for wanted, found in (
            (plain.views(actions), views(actions)),
            (plain.resets(mask, values), resets(mask, values)),
            ((plain.state, plain.count, plain.total), (toy.state, toy.count, toy.total)),
        ):
            for a, b in zip(wanted, found, strict=True):
                torch.testing.assert_close(b, a, rtol=5e-6, atol=5e-6)
        assert torch.equal(plain.generator.get_state(), toy.generator.get_state())
    assert plain.count.tolist() == toy.count.tolist() != [10] * N
    parts = torch.arange(1, N + 1)
    assert torch.equal(plain.shares(parts)[0], shares(parts)[0])
    with pytest.raises(ZeroDivisionError, match="integer"):
        shares(parts - 1)


def test_code_comes_from_the_cache(
    programs: tuple[Toy, list[Program]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same operations are not compiled again, with the same bits; others are."""
    toy, (first, *_) = programs
    said: list[str] = []
    other = Toy()
    second, *_ = compiled(other, lambda: said.append("compiles"))
    assert not said
    copied(other, toy)
    for a, b in zip(first(torch.ones(N, 3)), second(torch.ones(N, 3)), strict=True):
        assert torch.equal(a, b)
    damaged = next(cache_folder().glob("*/plan.json"))
    monkeypatch.setattr("rlgpu.compiler.program._built", lambda *_: pytest.fail("builds again"))
    for content in ("no plan", "[]", '{"opaque": [], "temporaries": []}'):
        damaged.parent.mkdir(exist_ok=True)
        damaged.write_text(content)
        with pytest.raises(pytest.fail.Exception, match="builds again"):
            compiled(Toy(), lambda: said.append("compiles"))
        assert not damaged.exists()
    assert said == ["compiles"] * 3


@pytest.mark.parametrize(
    "function",
    [
        lambda x: (x[x > 0],),
        lambda x: (x * float(x.sum()),),
        lambda x: (x if bool(x.any()) else -x,),
        lambda x: (x[x.nonzero()[:, 0]],),
        lambda x: (x + x.tolist()[0],),
        lambda x: (x + torch.from_numpy(np.asarray(x)),),
    ],
)
def test_values_on_the_host_are_refused(function: Callable[..., tuple[Tensor, ...]]) -> None:
    with pytest.raises(NotRecordable, match="values on the host"):
        Recorded(function, (torch.ones(N),))


def test_what_changes_from_call_to_call_is_refused() -> None:
    """Numbers of Python, whether operations or tensors are made of them."""
    counter = iter(range(100))
    with pytest.raises(NotRecordable, match="differ"):
        Recorded(lambda x: (x + next(counter),), (torch.ones(N),))
    with pytest.raises(NotRecordable, match="change"):
        Recorded(lambda x: (x + torch.tensor([float(next(counter))]),), (torch.ones(N),))


def test_memory_that_overlaps_is_refused() -> None:
    """Two tensors of NumPy's memory, of which torch does not know that they are one."""
    memory = np.arange(8, dtype=np.float32)
    whole, part = torch.from_numpy(memory), torch.from_numpy(memory[4:])
    with pytest.raises(NotRecordable, match="share memory"):
        Recorded(lambda x: (whole.add_(x), part * 2)[1:], (torch.ones(8),))


def test_an_error_while_recording_is_a_reason() -> None:
    with pytest.raises(NotRecordable, match="RuntimeError: The size"):
        Recorded(lambda x: (x + torch.ones(3),), (torch.ones(N),))


def test_code_may_not_branch_while_it_is_recorded() -> None:
    found: list[bool] = []
    Recorded(lambda x: (found.append(host_may_branch(CPU)), (x + 1,))[1], (torch.ones(N),))
    assert found == [False, False]
    assert host_may_branch(CPU)


def test_the_cache_is_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "rlgpu" / "compiled"
