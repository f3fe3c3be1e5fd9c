"""Observations as rows: images of every layout, numbers that float32 cannot tell apart."""

from __future__ import annotations

from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces

import rlgpu
import train
from rlgpu.errors import UsageError
from rlgpu.foreign.gymnasium.flat import Flat, flattening
from rlgpu.foreign.gymnasium.worker import maker
from rlgpu.nn import RunningNormalizer
from rlgpu.ops import select_kernels
from rlgpu.training import load_checkpoint
from tests.refusals import names

OURS = Path(__file__).parent / "envs_of_ours.py"
CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("shape", "wanted", "where"),
    [
        ((16, 20), (16, 20, 1), lambda y, x, c, k: (y, x)),
        ((3, 16, 16), (16, 16, 3), lambda y, x, c, k: (c, y, x)),
        ((16, 16, 3), (16, 16, 3), lambda y, x, c, k: (y, x, c)),
        ((1, 10, 10), (10, 10, 1), lambda y, x, c, k: (c, y, x)),
        ((7, 7, 20), (7, 7, 20), lambda y, x, c, k: (y, x, c)),  # one-hots of MiniGrid
        ((20, 7, 7), (7, 7, 20), lambda y, x, c, k: (c, y, x)),
        ((8, 8, 8), (8, 8, 8), lambda y, x, c, k: (y, x, c)),
        ((210, 160, 3), (210, 160, 3), lambda y, x, c, k: (y, x, c)),
        ((3, 12, 14), (12, 14, 3), lambda y, x, c, k: (c, y, x)),
        ((4, 3, 64, 64), (64, 64, 12), lambda y, x, c, k: (k, c, y, x)),
        ((4, 3, 12, 14), (12, 14, 12), lambda y, x, c, k: (k, c, y, x)),
        ((4, 64, 64, 3), (64, 64, 12), lambda y, x, c, k: (k, y, x, c)),
        ((4, 12, 14, 3), (12, 14, 12), lambda y, x, c, k: (k, y, x, c)),
        ((4, 84, 84, 1), (84, 84, 4), lambda y, x, c, k: (k, y, x, c)),
        ((64, 64, 3, 4), (64, 64, 12), lambda y, x, c, k: (y, x, c, k)),
    ],
)
def test_an_image_becomes_height_width_and_channels(shape, wanted, where) -> None:
    """One pixel set in the third row and the second column, of the last channel and frame."""
    layout, row = flattening(spaces.Box(0, 255, shape, np.uint8))
    assert layout.parts[0].shape == wanted
    frames = shape[3 if shape == (64, 64, 3, 4) else 0] if len(shape) == 4 else 1
    channels = wanted[2] // frames
    pixels = np.zeros(shape, np.uint8)
    pixels[where(2, 1, channels - 1, frames - 1)] = 9
    image = row(pixels).reshape(wanted)
    assert image.dtype == np.uint8
    assert image[2, 1, -1] == 9  # the last channel of the last frame, wherever it was
    assert image.sum() == 9


INFINITE = {"low": -np.inf, "high": np.inf, "shape": (1,)}


@pytest.mark.parametrize(
    ("space", "kind"),
    [
        (spaces.Box(**INFINITE, dtype=np.float32), "float32"),
        (spaces.Box(**INFINITE, dtype=np.float64), "float64"),
        (spaces.Box(-1.0, 1.0, (3,), np.float64), "float32"),  # steps of 6e-8 in a range of 2
        (spaces.Box(1.79e9, 1.8e9, (1,), np.float64), "float64"),  # of 128 s in 1e7 s
        (spaces.Box(0.0, np.finfo(np.float64).max, (1,), np.float64), "float64"),
        (spaces.Box(-(2**15), 2**15 - 1, (1,), np.int16), "float32"),
        (spaces.Box(0, 1000, (1,), np.int64), "float32"),
        (spaces.Box(0, 2**24 + 1, (1,), np.int32), "float64"),
        (spaces.Box(0, 2**40, (1,), np.uint64), "float64"),
        (spaces.Discrete(5), "float32"),
        (spaces.Dict(a=spaces.Discrete(2), b=spaces.Box(**INFINITE, dtype=np.float64)), "float64"),
    ],
    ids=str,
)
def test_numbers_that_float32_does_not_tell_apart_stay_float64(space, kind) -> None:
    """By the space's type and bounds, also inside a dictionary."""
    layout, row = flattening(space)
    assert layout.dtype == kind
    assert row(space.sample()).dtype == kind


@pytest.mark.parametrize(
    ("space", "value", "wanted"),
    [
        (spaces.Discrete(3, start=-1), 1, [0, 0, 1]),
        (spaces.MultiDiscrete([3, 2], start=[1, 5]), [3, 5], [0, 0, 1, 1, 0]),
        (spaces.MultiBinary(2), [0, 1], [0, 1]),
        (spaces.Box(0, 1, (2, 2), np.bool_), [[True, False], [False, True]], [1, 0, 0, 1]),
    ],
    ids=str,
)
def test_choices_and_flags_become_zeros_and_ones(space, value, wanted) -> None:
    """Choices count from their space's start; a table of flags is no image."""
    layout, row = flattening(space)
    assert layout.parts[0].kind == "numbers"
    assert row(np.array(value) if np.ndim(value) else value).tolist() == wanted


@pytest.mark.parametrize(
    ("space", "value", "key", "found", "wanted"),
    [
        (spaces.Box(0, 1, (2,)), [0.0, 0.0, 0.0], "observations", (3,), (2,)),
        (spaces.MultiDiscrete([3, 2]), [1], "observations", (1,), (2,)),
        (spaces.MultiBinary(2), [[1, 0, 1]], "observations", (1, 3), (2,)),
        (
            spaces.Box(0, 255, (3, 20, 24), np.uint8),
            np.zeros((20, 24, 3), np.uint8),
            "observations",
            (20, 24, 3),
            (3, 20, 24),
        ),
        (spaces.Dict(a=spaces.Box(0, 1, (2,))), {"a": [0.0]}, "a", (1,), (2,)),
        (spaces.Dict(a=spaces.Tuple([spaces.Box(0, 1, (2,))])), {"a": ()}, "a.0", None, None),
        (spaces.Dict(a=spaces.Box(0, 1, (2,))), {"b": [0.0]}, "a", None, None),
    ],
    ids=str,
)
def test_an_observation_that_does_not_fit_its_space_is_refused(
    space, value, key, found, wanted
) -> None:
    """By its part's name, with both shapes; a part that is missing has none."""
    _, row = flattening(space)
    with pytest.raises(UsageError) as refusal:
        row(value)
    error = refusal.value
    assert (error.key, error.value, error.allowed) == (key, found, (wanted,) if wanted else ())
    assert names(error, *([list(found), list(wanted)] if found else [key]))


def test_numbers_may_have_another_shape_of_the_same_size() -> None:
    """As environments often return a row, or a number alone."""
    assert flattening(spaces.Box(0, 9, (2, 1)))[1]([3.0, 4.0]).tolist() == [3.0, 4.0]
    assert flattening(spaces.Box(0, 9, (1,)))[1](3.0).tolist() == [3.0]


@pytest.mark.parametrize(("name", "bounds"), [("Pixels", (0, 255)), ("Counter", (-np.inf, np.inf))])
def test_rows_lie_in_the_space_of_a_wrapped_environment(name, bounds) -> None:
    """Bytes from 0 to 255, other numbers without bounds; Gymnasium's vectors allocate by it."""
    env = maker(f"{OURS}:{name}")()
    space = env.observation_space
    assert (space.low.min(), space.high.max()) == bounds
    row, _ = env.reset(seed=0)
    assert space.contains(row)
    env.close()


def test_bytes_beside_a_mask_become_numbers_up_to_one() -> None:
    """A grey image of 51 is 0.2; what the environment says beside it follows as it is."""

    class Masked(gymnasium.Env):
        observation_space = spaces.Box(0, 255, (2, 3), np.uint8)
        action_space = spaces.Discrete(2)

        def reset(self, *, seed=None, options=None):
            return np.full((2, 3), 51, np.uint8), {"action_mask": np.array([0, 1], np.int8)}

    env = Flat(Masked())
    row = env.reset()[0]
    assert (row.dtype, env.layout.dtype) == (np.float32, "float32")
    assert row.tolist() == pytest.approx([0.2] * 6 + [0.0, 1.0])
    assert [part.kind for part in env.layout.parts] == ["image", "mask"]


def test_the_policy_tells_times_20_ms_apart() -> None:
    """Seconds since 1970, whose float32 steps are 128 s: as if they were counted from today."""
    times = 1.79e9 + 0.02 * torch.arange(200, dtype=torch.float64)
    near, far = (RunningNormalizer(1, select_kernels("torch", CPU)) for _ in range(2))
    for _ in range(3):
        far.update(times[:, None])
        near.update((times - 1.79e9).float()[:, None])
        wanted = near.normalize((times - 1.79e9).float()[:, None])
        seen = far.normalize(times[:, None])
        assert seen.dtype == torch.float32
        assert seen.unique().numel() == 200
        torch.testing.assert_close(seen, wanted, atol=1e-4, rtol=0)


MASKED = spaces.Dict(action_mask=spaces.MultiBinary(2), place=spaces.Box(-1.0, 1.0, (3,)))


def test_a_mask_beside_continuous_actions_is_plain_numbers() -> None:
    """They have no choices that it could forbid; the means of none become infinite."""
    actions = spaces.Box(-1.0, 1.0, (2,))
    agent = rlgpu.PPOAgent(MASKED, actions, horizon_length=2, hidden_sizes=[8])
    seen = {"action_mask": np.array([1, 0], np.int8), "place": np.zeros(3, np.float32)}
    assert agent.act(seen).parameters.isfinite().all()
    assert agent._spaces.observations.is_plain


def test_a_mask_of_another_number_of_choices_is_refused() -> None:
    """Two values for three choices."""
    with pytest.raises(UsageError) as refusal:
        rlgpu.PPOAgent(MASKED, spaces.Discrete(3))
    assert (refusal.value.key, refusal.value.value) == ("action_mask", 2)
    assert refusal.value.allowed == (3,)


def test_masks_beside_float64_numbers_stay_as_they_are() -> None:
    """Columns that are not normalised, by either path."""
    fixed = RunningNormalizer(2, select_kernels("torch", CPU), fixed=[1])
    rows = torch.tensor([[1e9, 1.0], [1e9 + 2, 0.0]], dtype=torch.float64)
    fixed.update(rows)
    # The variance of -1 and 1 is 1.
    torch.testing.assert_close(
        fixed.normalize(rows), torch.tensor([[-1.0, 1.0], [1.0, 0.0]]), atol=1e-5, rtol=0
    )


def test_observations_that_float32_blurs_are_warned_of(tmp_path) -> None:
    """Where they are not normalised: the networks are float32."""
    given = [
        f"task=gym:{OURS}:Stamped",
        "headless=True",
        f"runs_dir={tmp_path}",
        "num_envs=2",
        "max_iterations=1",
        "train.horizon_length=4",
    ]
    with pytest.warns(UserWarning) as caught:
        assert train.main([*given, "train.normalize_observations=False"]) == 0
    wanted = 128, "train.normalize_observations=True"
    assert [w for w in caught if isinstance(w.message, UserWarning) and names(w.message, *wanted)]


@pytest.mark.parametrize("words", [(), ("algorithm=DQN",), ("train.memory=gru",)])
def test_float64_observations_are_trained_on(words, tmp_path) -> None:
    """Their statistics are those of the times themselves; masks are observed beside them."""
    given = [
        f"task=gym:{OURS}:Stamped",
        "headless=True",
        f"runs_dir={tmp_path}",
        "num_envs=2",
        "max_iterations=2",
        "train.horizon_length=7",
        *words,
    ]
    assert train.main(given) == 0
    latest = tmp_path / "gym_Stamped" / "latest"
    agent = load_checkpoint(latest / "nn" / "last.pth")["agent"]
    mean = agent["observation_normalizer"]["mean"]
    assert mean.tolist()[0] == pytest.approx(1.79e9 + 0.06, abs=1e-6)  # of 0, 20, ... 120 ms
    assert mean.tolist()[1] == pytest.approx(3.0)
    assert train.main([f"checkpoint={latest}", "max_iterations=3", "headless=True"]) == 0
