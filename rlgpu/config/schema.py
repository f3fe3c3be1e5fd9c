"""The typed schema of the configuration. Values for each task and engine are in ``cfg/``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class TrainConfig:
    """Hyperparameters of PPO; ``train.*`` on the command line."""

    max_iterations: int = 500
    """Number of training iterations."""
    horizon_length: int = 16
    """Control steps per rollout, T."""
    num_epochs: int = 4
    """Passes over each rollout."""
    minibatch_size: int = 32768
    """Rows per minibatch; reduced automatically if it does not divide ``T * num_envs``."""
    minibatch_order: Literal["shuffled", "contiguous"] = "shuffled"
    """Whether rows are permuted anew each epoch, or minibatches are slices in time order."""
    gamma: float = 0.99
    """Discount factor."""
    gae_lambda: float = 0.95
    """Trace decay (lambda) of the advantage estimation."""
    clip_ratio: float = 0.2
    """PPO's clipping range epsilon, for the policy ratio and the clipped value loss."""
    value_loss_coef: float = 2.0
    """Weight of the value loss, half the squared error (rl_games' critic_coef)."""
    clip_value: bool = True
    """Whether the value loss is the maximum of the unclipped and the clipped loss."""
    entropy_coef: float = 0.0
    """Weight of the entropy bonus."""
    bounds_loss_coef: float = 1e-4
    """Weight of the penalty on action means outside +-1.1, the squared excess."""
    learning_rate: float = 3e-4
    """Initial learning rate."""
    min_learning_rate: float = 1e-6
    """Final learning rate of the linear schedule; lower limit of the adaptive schedule."""
    max_learning_rate: float = 1e-2
    """Upper limit of the adaptive schedule."""
    schedule: Literal["linear", "adaptive", "constant"] = "linear"
    """How the learning rate changes; ``adaptive`` follows ``adaptive_kl``."""
    adaptive_kl: float = 0.008
    """Target KL of the adaptive schedule."""
    target_kl: float = 0.02
    """The update stops once a minibatch's KL(old || new) exceeds 1.5 times this; 0 disables it."""
    max_grad_norm: float = 1.0
    """Global gradient norm to clip to; 0 disables clipping."""
    adam_eps: float = 1e-8
    """Adam's epsilon."""
    normalize_observations: bool = True
    """Whether observations are normalised by running statistics."""
    normalize_values: bool = True
    """Whether values and returns are normalised by running statistics of the returns."""
    normalize_advantages: Literal["global", "minibatch", "none"] = "global"
    """Normalise advantages over the whole rollout, over each minibatch, or not at all."""
    reward_scale: float = 1.0
    """Factor on the rewards used for the advantages; reported returns are unscaled."""
    hidden_sizes: list[int] = field(default_factory=lambda: [256, 128, 64])
    """Number of units in each hidden layer."""
    separate: bool = False
    """Whether the critic has separate hidden layers instead of sharing the actor's."""
    weight_init: Literal["torch", "orthogonal"] = "torch"
    """Weight initialisation: torch's default for linear layers, or orthogonal matrices."""
    initial_log_std: float = 0.0
    """Initial log standard deviation of the actions."""
    min_log_std: float = -5.0
    """Lower limit of the log standard deviation."""
    max_log_std: float = 2.0
    """Upper limit of the log standard deviation."""
    save_interval: int = 50
    """Iterations between checkpoints."""
    init_at_random_ep_len: bool = False
    """Start training with random episode step counts, so that the first time limits are not all
    reached in the same iteration. Source: rsl_rl, legged_gym."""


@dataclass(frozen=True)
class Config:
    """Everything a run depends on; saved with it."""

    task: Any = None
    """The task's configuration (see the task's ``Config``)."""
    train: TrainConfig = field(default_factory=TrainConfig)
    sim: Any = None
    """The engine's settings (see ``rlgpu.sim.ENGINES``)."""
    num_envs: int = 0
    """Number of environments; default ``task.num_envs``, or 16 with ``test=True``."""
    max_iterations: int = 0
    """Number of training iterations; default ``train.max_iterations``."""
    seed: int = 42
    """Random seed; -1 draws one and saves it with the run."""
    torch_deterministic: bool = False
    """Make runs bitwise reproducible on a GPU as well: MuJoCo Warp orders its contacts and sums,
    and torch refuses non-deterministic operations."""
    sim_device: str = "auto"
    """Device of the engine: ``auto``, ``cpu`` or ``cuda:0``."""
    rl_device: str = "auto"
    """Device of the learner: ``auto`` (the engine's), ``cpu`` or ``cuda:0``."""
    kernels: Literal["fused", "torch"] = "fused"
    """Use the compiled ops, or their plain PyTorch equivalents."""
    precision: Literal["tf32", "bf16", "fp32"] = "tf32"
    """Precision of the networks' matrix products, in acting and training; sums are float32. On the
    CPU tf32 means float32."""
    cuda_graphs: bool = True
    """On a GPU, launch the rollout and the update as one CUDA graph each."""
    compile: bool = True
    """On a GPU, fuse the small operations of the task and the learner with torch.compile."""
    headless: bool = False
    """Play without a viewer. Training never opens one."""
    test: bool = False
    """Play a checkpoint back instead of training."""
    checkpoint: str = ""
    """Checkpoint to continue from or to play: ``latest``, ``best`` or a path."""
    experiment: str = ""
    """Folder under ``runs_dir``; the task's name if empty."""
    runs_dir: str = "runs"
    """Folder that contains the run folders."""
    games: int = 100
    """Number of episodes that ``test=True`` plays without a viewer."""
    capture_video: bool = False
    """Record mp4 videos."""
    capture_video_freq: int = 1464
    """Control steps between videos during training."""
    capture_video_len: int = 300
    """Length of a video in control steps."""
