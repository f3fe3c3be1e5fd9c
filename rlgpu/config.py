"""The typed schema of the configuration, field by field. Values are in ``cfg/``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass
class TrainConfig:
    """PPO's hyper-parameters; ``train.*`` on the command line."""

    max_iterations: int = 500
    """Iterations of a whole run."""
    horizon_length: int = 16
    """Control steps of a rollout, T."""
    num_epochs: int = 4
    """Passes over a rollout."""
    minibatch_size: int = 32768
    """Rows of a minibatch; the split adapts where it does not divide ``T * num_envs``."""
    minibatch_order: Literal["shuffled", "contiguous"] = "shuffled"
    """A new permutation of the rows each epoch, or slices in time order."""
    gamma: float = 0.99
    """Discount."""
    gae_lambda: float = 0.95
    """Trace decay of the advantages."""
    clip_ratio: float = 0.2
    """PPO's epsilon, for the policy's ratio and the clipped value loss."""
    value_loss_coef: float = 2.0
    """Weight of half the squared error of the values (rl_games' critic_coef)."""
    clip_value: bool = True
    """Whether the value loss is the larger of the plain and the clipped one."""
    entropy_coef: float = 0.0
    """Weight of the entropy bonus."""
    bounds_loss_coef: float = 1e-4
    """Weight of the squared excess of the means beyond +-1.1."""
    learning_rate: float = 3e-4
    """Rate at the start."""
    min_learning_rate: float = 1e-6
    """Rate at the end of the linear schedule; the adaptive schedule's floor."""
    max_learning_rate: float = 1e-2
    """The adaptive schedule's ceiling."""
    schedule: Literal["linear", "adaptive", "constant"] = "linear"
    """How the learning rate changes; ``adaptive`` follows ``adaptive_kl``."""
    adaptive_kl: float = 0.008
    """KL that the adaptive schedule aims at."""
    target_kl: float = 0.02
    """Once a minibatch's KL(old || new) exceeds 1.5 times this, the update stops; 0 never stops."""
    max_grad_norm: float = 1.0
    """Largest global gradient norm; 0 does not clip."""
    adam_eps: float = 1e-8
    """Adam's epsilon."""
    normalize_observations: bool = True
    """Whether observations are normalised by running statistics."""
    normalize_values: bool = True
    """Whether the critic works in normalised units."""
    normalize_advantages: Literal["global", "minibatch", "none"] = "global"
    """Over what: the rollout, each minibatch, or not at all."""
    reward_scale: float = 1.0
    """Factor on rewards before advantages; reported returns are unscaled."""
    hidden_sizes: list[int] = field(default_factory=lambda: [256, 128, 64])
    """Units of the hidden layers."""
    separate: bool = False
    """Whether the critic has hidden layers of its own."""
    weight_init: Literal["torch", "orthogonal"] = "torch"
    """Torch's default for linear layers, or orthogonal matrices."""
    initial_log_std: float = 0.0
    """Logarithm of the actions' standard deviation at the start."""
    min_log_std: float = -5.0
    """Floor of the log standard deviation."""
    max_log_std: float = 2.0
    """Ceiling of the log standard deviation."""
    save_interval: int = 50
    """Iterations between checkpoints."""


@dataclass
class SimConfig:
    """The engine; ``sim=`` chooses it, ``sim.*`` sets its values."""

    engine: str = "mujoco"
    """Name of the engine."""
    num_threads: int = 0
    """``mujoco``: threads that step it; 0 is one for each core. Results do not depend on it."""
    nconmax: int = 0
    """``mujoco_warp``: contacts set aside for each world; 0 follows from the model."""
    njmax: int = 0
    """``mujoco_warp``: constraint rows set aside for each world; 0 follows from the model."""


@dataclass
class Config:
    """Everything a run depends on; saved with it."""

    task: Any = None
    """The task's own configuration (see its ``Config``)."""
    train: TrainConfig = field(default_factory=TrainConfig)
    sim: SimConfig = field(default_factory=SimConfig)
    num_envs: int = 0
    """Environments; the resolved number once composed."""
    max_iterations: int = 0
    """Iterations; the resolved number once composed."""
    seed: int = 42
    """Seed of everything random; -1 draws one and records it."""
    torch_deterministic: bool = False
    """Refuse torch operations that are not deterministic."""
    sim_device: str = "auto"
    """Device of the engine: ``auto``, ``cpu`` or ``cuda:0``."""
    rl_device: str = "auto"
    """Device of the learner: ``auto`` (the engine's), ``cpu`` or ``cuda:0``."""
    kernels: Literal["fused", "torch"] = "fused"
    """The compiled ops, or their plain PyTorch twins."""
    precision: Literal["tf32", "bf16", "fp32"] = "tf32"
    """Of the networks' matrix products on a GPU, acting and training alike; sums are float32."""
    cuda_graphs: bool = True
    """On a GPU, launch rollout and update as one graph each."""
    compile: bool = True
    """On a GPU, let torch.compile fuse the task's and the learner's small operations."""
    headless: bool = False
    """Without a viewer. Training never opens one; playing does unless this is set."""
    test: bool = False
    """Play a checkpoint back instead of training."""
    checkpoint: str = ""
    """``latest``, ``best`` or a path: to continue from, or to play."""
    experiment: str = ""
    """Folder under ``runs_dir``; the task's name if empty."""
    runs_dir: str = "runs"
    """Where run folders go."""
    games: int = 100
    """Episodes that ``test=True`` plays when there is no viewer."""
    capture_video: bool = False
    """Write mp4 videos."""
    capture_video_freq: int = 1464
    """Control steps between videos while training."""
    capture_video_len: int = 300
    """Control steps of a video."""


def minibatch_split(batch_size: int, minibatch_size: int) -> int:
    """Returns the fewest equal minibatches of at most ``minibatch_size`` rows.

    Args:
        batch_size: Rows of a rollout, T*N.
        minibatch_size: Rows wanted; at least 1.
    """
    fewest = -(-batch_size // minibatch_size)
    return next(k for k in range(fewest, batch_size + 1) if batch_size % k == 0)
