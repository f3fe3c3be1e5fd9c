"""Exported policies act as their agents do; their description is what a robot needs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from rlgpu.cli import main
from rlgpu.config import DqnConfig, TrainConfig
from rlgpu.deploy import DeployedPolicy
from rlgpu.deploy.files import write_onnx, write_torchscript
from rlgpu.learner import Dqn, Ppo
from rlgpu.ops import select_kernels
from rlgpu.spaces import (
    Continuous,
    Discrete,
    ObservationSpace,
    Part,
    numbers,
    with_history,
    with_true_values,
)

onnxruntime = pytest.importorskip("onnxruntime")
CPU = torch.device("cpu")
IMAGE = ObservationSpace(
    (Part("x", (3,)), Part("im", (12, 12, 2), "image"), Part("m", (4,), "mask"))
)
CASES = {
    "noisy": (with_true_values(numbers(9)), Continuous(4), {}),
    "past": (with_true_values(with_history(numbers(5), 3)), Continuous(2), {"activation": "tanh"}),
    "critic": (numbers(8, privileged=3), Continuous(2), {"activation": "relu"}),
    "lstm": (
        numbers(7, privileged=3),
        Continuous(2),
        {"memory": "lstm", "memory_size": 6, "memory_layers": 2, "layer_norm": True},
    ),
    "gru": (numbers(5), Discrete((3, 2)), {"memory": "gru", "memory_size": 8}),
    "squashed": (
        numbers(5),
        Continuous(3),
        {"action_distribution": "tanh_gaussian", "activation": "silu"},
    ),
    "deviations": (numbers(5), Continuous(3), {"state_dependent_std": True}),
    "raw": (numbers(5), Continuous(3), {"normalize_observations": False, "separate": True}),
    "image": (
        IMAGE,
        Discrete((4,)),
        {"image_channels": [3], "image_kernels": [4], "image_strides": [2]},
    ),
}


def trained(space: ObservationSpace, actions, *, dqn: bool = False, **settings):
    """Returns an agent with weights and statistics that are not those of the beginning."""
    shared = {"kernels": select_kernels("torch", CPU), "device": CPU, "seed": 0}
    if dqn:
        config = TrainConfig(dqn=DqnConfig(dueling=True), **settings)
        agent = Dqn(config, space, actions, max_iterations=1, num_envs=1, **shared)
    else:
        config = TrainConfig(**settings)
        agent = Ppo(config, space, actions, max_iterations=1, num_minibatches=1, **shared)
    torch.manual_seed(0)
    agent.observation_normalizer.update(torch.randn(500, space.size) * 3.0 + 1.0)
    for parameter in agent.network.parameters():
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    return agent


def observations(space: ObservationSpace, rows: int) -> torch.Tensor:
    """Returns rows of which some are beyond the normaliser's limit, masks of 0 and 1."""
    found = torch.randn(rows, space.size) * 6.0 + 1.0
    mask = space.columns(space.of("actor", "mask"))
    if mask:
        found[:, mask] = (found[:, mask] > 0).float()
        found[:, mask[0]] = 1.0
    return found


def check(agent, space, limit: float, folder: Path, rows: int = 40, steps: int = 3) -> None:
    """Compares module, TorchScript and ONNX with the agent over some steps."""
    policy = DeployedPolicy(agent, space, limit)
    assert all(parameter.requires_grad for parameter in agent.network.parameters())  # copies
    write_torchscript(policy, folder / "policy.pt")
    write_onnx(policy, folder / "policy.onnx", {"said": "so"})
    session = onnxruntime.InferenceSession(str(folder / "policy.onnx"))
    assert session.get_modelmeta().custom_metadata_map["said"] == "so"
    script, names = torch.jit.load(str(folder / "policy.pt")), policy.signature.inputs
    assert [x.name for x in session.get_inputs()] == list(names)
    memory = agent.no_memory(rows)
    states = [policy.examples(rows)[1:]] * 3
    for _ in range(steps):
        shown = observations(space, rows)
        wanted, memory = agent.act_deterministic(shown, memory)
        if limit < np.inf:
            wanted = wanted.clamp(-limit, limit)
        seen = shown[:, policy.columns]
        values = dict(zip(names, (seen, *states[2]), strict=True))
        said = [
            policy(seen, *states[0]),
            script(seen, *states[1]),
            [
                torch.from_numpy(x)
                for x in session.run(None, {k: v.numpy() for k, v in values.items()})
            ],
        ]
        rows_of = [x if isinstance(x, tuple | list) else (x,) for x in said]
        states = [tuple(x[1:]) for x in rows_of]
        for actions, *_ in rows_of:
            torch.testing.assert_close(actions.float(), wanted, rtol=1e-5, atol=1e-5)


def test_an_exported_policy_acts_as_trained(tmp_path) -> None:
    """From the columns that the actor sees, over several steps, within the limit of actions."""
    space, actions, settings = CASES["lstm"]
    check(trained(space, actions, **settings), space, 0.4, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_every_kind_of_policy_is_exported(case: str, tmp_path) -> None:
    """Every network, distribution and observation that PPO has."""
    space, actions, settings = CASES[case]
    limit = 0.4 if isinstance(actions, Continuous) else np.inf
    check(trained(space, actions, **settings), space, limit, tmp_path)


@pytest.mark.slow
def test_a_policy_by_dqn_is_exported(tmp_path) -> None:
    """The best choice; of a dueling network, too."""
    space = numbers(5)
    check(trained(space, Discrete((4,)), dqn=True), space, np.inf, tmp_path)


def test_the_command_writes_and_checks_a_folder(tmp_path, monkeypatch, capsys) -> None:
    """Of a robot with history and hidden velocity; the description is also in the ONNX file."""
    monkeypatch.chdir(tmp_path)
    words = [
        "task=Go2",
        "num_envs=64",
        "max_iterations=1",
        "headless=True",
        "train.minibatch_size=768",
    ]
    words += ["task.history=2", "task.hidden=[lin_vel_b]", "task.hidden_from=policy"]
    assert main(["train", *words]) == 0
    assert main(["export", "task=Go2", "checkpoint=latest", "out=there", "--check"]) == 0
    printed = capsys.readouterr().out
    assert "policy.onnx: largest difference" in printed
    described = yaml.safe_load(Path("there/policy.yaml").read_text())
    terms = described["observations"]
    assert [(t["name"], t["steps_ago"], t["size"]) for t in terms[:3]] == [
        ("ang_vel_b", 0, 3),
        ("gravity_b", 0, 3),
        ("commands", 0, 3),
    ]
    assert [t["steps_ago"] for t in terms] == [0] * 6 + [1] * 6
    assert described["num_observations"] == 2 * 45 == sum(t["size"] for t in terms)
    assert terms[2]["scale"] == [2.0, 2.0, 0.25]
    assert terms[3]["offset"] == described["default_joint_pos"]
    assert described["joints"][:2] == ["FL_hip_joint", "FL_thigh_joint"]
    assert described["stiffness"] == [20.0] * 12
    session = onnxruntime.InferenceSession("there/policy.onnx")
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["rlgpu"]) == described
    assert metadata["joint_names"].split(",") == described["joints"]
    assert [float(x) for x in metadata["default_joint_pos"].split(",")] == [
        *described["default_joint_pos"]
    ]


def test_what_cannot_be_exported_is_refused(tmp_path, monkeypatch, capsys) -> None:
    """Without a run there is nothing to export."""
    monkeypatch.chdir(tmp_path)
    assert main(["export", "task=Go2", "checkpoint=latest"]) == 2
    assert "latest" in capsys.readouterr().err
