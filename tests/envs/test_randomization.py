"""Domain randomisation: what is drawn, when, for whom, and what it costs."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch._dynamo.utils import counters

from rlgpu.config import Range, Span, compose
from rlgpu.envs import VecEnv, scene_of
from rlgpu.envs.randomization import fill
from rlgpu.envs.randomization_config import Noise, Randomization, Varied
from rlgpu.envs.varied_parameters import Draws
from rlgpu.errors import UsageError
from rlgpu.sim import ENGINES, make_simulator
from rlgpu.tasks import TASKS
from tests.envs.randomized import ENGINE_NAMES, make_env, reset


def original_of(env: VecEnv, name: str) -> torch.Tensor:
    """Returns the asset's values of a parameter, as MuJoCo compiled them."""
    return torch.tensor(_part(name, getattr(env.sim.worlds.model, FIELDS[name])[None]))[0].float()


def held(env: VecEnv, name: str) -> torch.Tensor:
    """Returns the values of a parameter that the engine computes with, shape [N, ...]."""
    return _part(name, env.sim.worlds.field(FIELDS[name])).clone().float()


FIELDS = {"body_mass": "body_mass", "friction": "geom_friction", "joint_armature": "dof_armature"}


def _part(name: str, field):
    """Returns the parameter's part of a field: bodies, sliding friction, joints."""
    return {
        "body_mass": lambda: field[:, 1:],
        "friction": lambda: field[..., 0],
        "joint_armature": lambda: field[:, 6:],
    }[name]()


@pytest.mark.parametrize(
    ("spread", "mean", "std"),
    [
        (Varied(range=[1.0, 3.0]), 2.0, 2 / math.sqrt(12)),
        (Varied(range=[1.0, 3.0], distribution="gaussian"), 1.0, 3.0),
        # The logarithm is uniform in (0, log 4): mean 3 / log 4, mean square 15 / (2 log 4).
        (Varied(range=[1.0, 4.0], distribution="loguniform"), 2.164, 0.8536),
    ],
)
def test_numbers_have_their_distribution(spread, mean, std) -> None:
    """Mean and standard deviation of 100 000."""
    g = torch.Generator().manual_seed(0)
    noise = torch.zeros(100_000)
    fill(noise, spread, spread.range, g)
    # Beside numbers of another distribution, as parameters are drawn.
    beside = [Varied(range=[0.0, 1.0], distribution=kind) for kind in ("uniform", "gaussian")]
    numbers = Draws([spread, *beside], torch.device("cpu"))(100_000, g)
    assert numbers.shape == (100_000, 3)
    for drawn in (noise, numbers[:, 0]):
        assert drawn.mean().item() == pytest.approx(mean, abs=0.03)
        assert drawn.std().item() == pytest.approx(std, rel=0.02)


@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_parameters_are_drawn_at_resets_for_those_that_are_reset(engine) -> None:
    """Masses by factors of 0.5 to 1.5, a number for each body; others keep theirs."""
    env = make_env(engine=engine, mass=Varied(range=[0.5, 1.5], operation="scaling"))
    original = original_of(env, "body_mass")
    ratio = held(env, "body_mass") / original
    assert ((ratio >= 0.5) & (ratio <= 1.5)).all()
    assert ratio.std() > 0.2
    assert ratio[0].std() > 0.1
    env.step(torch.zeros(4, 12))
    before = held(env, "body_mass")
    reset(env, 1, 3)
    after = held(env, "body_mass")
    assert torch.equal(after, env.sim.parameters["body_mass"])
    assert torch.equal(after[[0, 2]], before[[0, 2]])
    assert (after[[1, 3]] != before[[1, 3]]).all()


@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_the_engine_simulates_what_was_drawn(engine) -> None:
    """Gravity of -5 in one environment after a reset: a fall of that acceleration."""
    env = make_env(n=2, engine=engine, gravity=Varied(range=[0.0, 0.0]))
    values = env.sim.parameters["gravity"].clone()
    values[1] = torch.tensor([0.0, 0.0, -5.0])
    env.sim.set_parameters({"gravity": values[1:]}, torch.tensor([1]))
    to = env.task.reset_state(env.generator)
    zero = torch.zeros(2, 3)
    lifted = to.root_pos_w + torch.tensor([0.0, 0.0, 3.0])
    env.sim.reset(
        torch.ones(2, dtype=torch.bool),
        to._replace(
            root_pos_w=lifted,
            root_lin_vel_w=zero,
            root_ang_vel_w=zero,
            joint_pos=env.task._default.expand(2, 12),
        ),
    )
    env.sim.set_targets(env.task._default.expand(2, 12))
    env.sim.step()
    env.sim.refresh()
    speed = env.sim.state.root_lin_vel_w[:, 2]
    # Legs that settle push the base a little.
    assert speed.tolist() == pytest.approx([-9.81 * 0.02, -5.0 * 0.02], abs=0.02)


def test_only_named_bodies_vary_and_a_robot_may_share_a_number() -> None:
    """The base alone; and one factor for all geoms of a robot."""
    env = make_env(
        mass=Varied(range=[1.0, 2.0], only=["base"]),
        friction=Varied(range=[0.5, 1.5], operation="scaling", per_robot=True),
    )
    added = held(env, "body_mass") - original_of(env, "body_mass")
    assert (added[:, 0] >= 1.0).all()
    assert not added[:, 1:].any()
    ratio = held(env, "friction") / original_of(env, "friction")
    torch.testing.assert_close(ratio, ratio[:, :1].expand_as(ratio))
    assert ratio[:, 0].std() > 0.05


def test_frequency_and_setup_only_limit_how_often_numbers_are_drawn() -> None:
    """Three steps are not five; what is drawn once stays."""
    env = make_env(
        frequency=5,
        mass=Varied(range=[0.0, 1.0]),
        armature=Varied(range=[0.0, 0.1], setup_only=True),
    )
    first = {name: held(env, name) for name in env.sim.parameters}
    assert (first["joint_armature"] > original_of(env, "joint_armature")).all()
    for _ in range(3):
        env._randomizer.advance()
    reset(env, 0)
    assert torch.equal(held(env, "body_mass"), first["body_mass"])
    for _ in range(2):
        env._randomizer.advance()
    reset(env, 0)
    assert (held(env, "body_mass")[0] != first["body_mass"][0]).all()
    assert torch.equal(held(env, "joint_armature"), first["joint_armature"])


@pytest.mark.parametrize(
    ("schedule", "share"), [("linear", 0.25), ("constant", 0.0), ("none", 1.0)]
)
def test_schedules_bring_a_randomisation_in(schedule, share) -> None:
    """After 25 of 100 steps: a quarter of 2 kg, nothing yet, all of it."""
    spread = Varied(range=[2.0, 2.0], schedule=schedule, schedule_steps=100)
    env = make_env(mass=spread)
    env._randomizer.buffers["steps"].fill_(24)
    env._randomizer.advance()
    reset(env, 0)
    added = held(env, "body_mass")[0] - original_of(env, "body_mass")
    assert added.tolist() == pytest.approx([2.0 * share] * len(added), abs=1e-5)


def test_a_linear_schedule_of_factors_begins_at_one() -> None:
    """A factor of 3 after a quarter of the steps: 1.5."""
    env = make_env(
        mass=Varied(range=[3.0, 3.0], operation="scaling", schedule="linear", schedule_steps=100)
    )
    env._randomizer.buffers["steps"].fill_(24)
    env._randomizer.advance()
    reset(env, 2)
    ratio = held(env, "body_mass")[2] / original_of(env, "body_mass")
    assert ratio.tolist() == pytest.approx([1.5] * len(ratio), rel=1e-5)


def test_observation_noise_has_a_part_that_is_held() -> None:
    """White noise changes every step, the correlated part only with the episode."""
    noise = Noise(range=[0.0, 0.0], range_correlated=[0.5, 1.0])
    env = make_env(observations=noise, n=3)
    clean = env.task.observe(env.sim.state, env._actions)
    held = env._observe() - clean
    assert ((held >= 0.5 - 1e-4) & (held <= 1.0 + 1e-4)).all()
    env._randomizer.draw(env.generator)
    torch.testing.assert_close(env._observe() - clean, held)
    reset(env, 1)
    changed = env._observe() - env.task.observe(env.sim.state, env._actions) - held
    assert changed[1].abs().max() > 0.01
    torch.testing.assert_close(changed[0], torch.zeros(48), atol=1e-4, rtol=0)
    white = make_env(observations=Noise(range=[-0.1, 0.1]), n=200)
    clean = white.task.observe(white.sim.state, white._actions)
    first = white._observe() - clean
    white._randomizer.draw(white.generator)
    second = white._observe() - clean
    assert first.abs().max() <= 0.1001
    assert abs(float((first * second).mean())) < 1e-3


@pytest.mark.parametrize(
    ("operation", "wanted"), [("additive", 1.5 + 0.25 + 0.5), ("scaling", 1.5 * (0.25 + 0.5))]
)
def test_parts_of_noise_are_summed_before_the_operation(operation, wanted) -> None:
    """As IsaacGymEnvs' ``op(tensor, corr + noise)``: 1.5 with parts of 0.25 and 0.5."""
    noise = Noise(range=[0.25, 0.25], range_correlated=[0.5, 0.5], operation=operation)
    env = make_env(actions=noise, n=1)
    assert env._randomizer.act(torch.full((1, 12), 1.5)).tolist() == [[wanted] * 12]


@pytest.mark.parametrize(
    ("operation", "steps", "wanted"),
    [
        ("scaling", 0, 1.0),
        ("scaling", 25, 0.9375),
        ("scaling", 100, 0.75),
        ("additive", 0, 1.0),
        ("additive", 25, 1.1875),
        ("additive", 100, 1.75),
    ],
)
def test_a_schedule_brings_the_sum_of_both_parts_in(operation, steps, wanted) -> None:
    """A factor goes from 1 to 0.25 + 0.5 within 100 steps, what is added from 0 to 0.75."""
    noise = Noise(
        range=[0.25, 0.25],
        range_correlated=[0.5, 0.5],
        operation=operation,
        schedule="linear",
        schedule_steps=100,
    )
    env = make_env(actions=noise, n=1)
    env._randomizer.buffers["steps"].fill_(steps)
    taken = env._randomizer.act(torch.ones(1, 12))
    assert taken.flatten().tolist() == pytest.approx([wanted] * 12)


def test_actions_are_noisy_and_late() -> None:
    """Two steps late: zero, zero, then the first action; what is observed is not delayed."""
    env = make_env(action_delay=[2, 2], n=2)
    taken = []
    for value in (1.0, 2.0, 3.0, 4.0):
        taken.append(env._randomizer.act(torch.full((2, 12), value))[0, 0].item())
        env._randomizer.draw(env.generator)  # ends a step
    assert taken == [0.0, 0.0, 1.0, 2.0]
    mixed = make_env(action_delay=[0, 3], n=200)
    delays = mixed._randomizer.buffers["delay"]
    assert set(delays.tolist()) == {0, 1, 2, 3}
    reset(mixed, 0)
    assert not mixed._randomizer.buffers["late"][:, 0].any()
    scaled = make_env(actions=Noise(range=[2.0, 2.0], operation="scaling"))
    assert scaled._randomizer.act(torch.ones(4, 12)).tolist() == [[2.0] * 12] * 4
    late = make_env(action_delay=[1, 1], n=2)
    late.step(torch.full((2, 12), 0.5))
    assert torch.equal(late.observations[:, 36:], torch.full((2, 12), 0.5))


@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_a_restored_state_goes_on_with_the_same_numbers(engine) -> None:
    """Parameters, held noise, delays and the generator."""
    settings = {
        "mass": Varied(range=[0.5, 1.5], operation="scaling"),
        "action_delay": [0, 2],
        "observations": Noise(range=[0.0, 0.1], distribution="gaussian"),
    }
    env, other = (make_env(engine=engine, **settings) for _ in range(2))
    actions = torch.ones(4, 12)
    for _ in range(5):
        env.step(actions)
    reset(env, 1)
    other.load_state_dict(env.state_dict())
    for _ in range(5):
        assert torch.equal(env.step(actions).observations, other.step(actions).observations)
    assert torch.equal(env.sim.parameters["body_mass"], other.sim.parameters["body_mass"])


@pytest.mark.parametrize(
    ("words", "key", "value", "taken"),
    [
        (["mass.range=[1.5,0.5]"], "mass.range", [1.5, 0.5], Span()),
        (["mass.range=[1]"], "mass.range", [1.0], Span()),
        (
            ["mass.range=[0,1]", "mass.distribution=loguniform"],
            "mass.range",
            [0.0, 1.0],
            Range(0.0, above=True),
        ),
        (["mass.range=[0,1]", "mass.only=[bass]"], "mass.only", "bass", "base"),
        (
            ["actions.range_correlated=[-1,1]", "actions.distribution=loguniform"],
            "actions.range_correlated",
            [-1.0, 1.0],
            Range(0.0, above=True),
        ),
        (
            ["observations.range=[0,-0.1]", "observations.distribution=gaussian"],
            "observations.range",
            [0.0, -0.1],
            Range(0.0),
        ),
        (["action_delay=[-1,2]"], "action_delay", -1, Range(0, 2**31 - 1)),
    ],
)
def test_ranges_that_make_no_sense_are_refused(words, key, value, taken) -> None:
    """With the key and what it wants."""
    words = ["task=Go2", "task.randomize=True", *(f"task.randomization.{x}" for x in words)]
    with pytest.raises(UsageError) as refusal:
        config = compose(words, TASKS, ENGINES).config.task
        task = TASKS["Go2"](config)
        VecEnv(task, make_simulator("mujoco", scene_of(task), config.timing(), 2), seed=0)
    assert (refusal.value.key, refusal.value.value) == (f"task.randomization.{key}", value)
    assert taken in refusal.value.allowed


def test_nothing_is_randomised_unless_asked() -> None:
    """The scene then has no varying parameters, which would cost time."""
    config = compose(["task=Go2"], TASKS, ENGINES).config.task
    config = replace(config, randomization=Randomization(mass=Varied(range=[0.0, 1.0])))
    assert scene_of(TASKS["Go2"](config)).parameters == ()


@pytest.mark.slow
def test_a_compiled_step_with_randomisation_matches_the_plain_one() -> None:
    """Without graph breaks, on the code paths of a GPU; resets included."""
    torch._dynamo.reset()
    counters.clear()
    settings = {
        "mass": Varied(range=[0.5, 1.5], operation="scaling"),
        "action_delay": [0, 2],
        "observations": Noise(range=[0.0, 0.1]),
    }
    plain, compiled = (
        make_env(8, "fused", episode_length=5, use_compile=x, **settings) for x in (False, True)
    )
    for env in (plain, compiled):
        env._randomizer._host_may_read = False
    g = torch.Generator().manual_seed(0)
    for _ in range(7):
        actions = torch.rand(8, 12, generator=g) * 2 - 1
        steps = []
        for env in (plain, compiled):
            env._code.begin(actions)
            env.sim.step()
            for each in (env.task, env._randomizer):
                each.draw(env.generator)
            steps.append(env._finish(env.task.reset_state(env.generator)))
        for ours, theirs in zip(*steps, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
        compiled.load_state_dict(plain.state_dict())
    assert not counters["graph_break"]
