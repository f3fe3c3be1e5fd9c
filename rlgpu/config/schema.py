"""The typed schema of the configuration. Values for each task and engine are in ``cfg/``.

A field's type states what its key takes; the text below it is what ``--help`` prints.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from rlgpu.config.limits import (
    Count,
    Fraction,
    Length,
    NonNegative,
    Positive,
    Range,
    Size,
    Text,
)

Device = Annotated[str, Text(r"auto|cpu|cuda(:\d{1,3})?", "auto, cpu or cuda:N")]
FolderName = Annotated[
    str, Text(r"[\w-][\w .+=,@-]{0,99}|", "a folder's name: at most 100 letters, digits and ._-")
]


Algorithm = Literal["PPO", "DQN"]

Preset = Literal[
    "none",
    "isaacgym",
    "rl_games",
    "rsl_rl",
    "rsl_rl_3",
    "skrl",
    "cleanrl",
    "stable",
    "aggressive",
    "conservative",
    "atari",
]
"""Files of ``rlgpu/config/presets``."""

NETWORK_KEYS = (
    "hidden_sizes",
    "separate",
    "critic_hidden_sizes",
    "layer_norm",
    "activation",
    "memory",
    "memory_size",
    "memory_layers",
    "image_channels",
    "image_kernels",
    "image_strides",
    "image_features",
    "action_distribution",
    "state_dependent_std",
    "normalize_observations",
    "normalize_values",
)
"""Keys of ``TrainConfig`` that the weights of a network fit, the units of its inputs and values
included."""


@dataclass(frozen=True)
class DqnConfig:
    """Hyperparameters of DQN alone; ``train.dqn.*`` on the command line."""

    buffer_size: Count = 100_000
    """Transitions in the replay buffer."""
    learning_starts: Size = 1000
    """Transitions before the first optimiser step."""
    replay_ratio: Positive = 4.0
    """How often a transition is sampled, on average, ``minibatch_size`` of them a step; one step
    at least follows a rollout."""
    n_step: Annotated[int, Range(1, 100)] = 3
    """Steps of rewards before the value of what follows."""
    double: bool = True
    """Whether the online network chooses the action that the target network values."""
    dueling: bool = False
    """Whether the network has an output for the state's value, and the choices' above it."""
    target_rate: Fraction = 0.005
    """Part of the way that the target network goes towards the online one after each step."""
    initial_exploration: Fraction = 1.0
    """Probability of a random action at the start."""
    final_exploration: Fraction = 0.02
    """Probability of a random action in the end."""
    exploration_fraction: Fraction = 0.3
    """Part of the run after which it stays there."""


@dataclass(frozen=True)
class CuriosityConfig:
    """Random network distillation; ``train.curiosity.*`` on the command line."""

    weight: NonNegative = 0.0
    """Weight of the reward for what is new, in units of its standard deviation; 0 is none."""
    learning_rate: NonNegative = 1e-3
    """Learning rate of the network that predicts."""
    hidden_sizes: Annotated[list[Count], Length(1, 16)] = field(default_factory=lambda: [64])
    """Units of its hidden layers."""
    num_features: Count = 16
    """Numbers to predict of an observation."""
    limit: Positive = 5.0
    """Largest reward for what is new, before its weight."""


@dataclass(frozen=True)
class SymmetryConfig:
    """Mirror symmetry, for tasks that say how they look in a mirror; ``train.symmetry.*``."""

    augment: bool = False
    """Whether every step is also trained on as it looks in a mirror."""


@dataclass(frozen=True)
class DistillationConfig:
    """Learning from a teacher; ``train.distillation.*`` on the command line."""

    teacher: str = ""
    """Checkpoint of a policy of the same task, which may see what is hidden here; none if empty."""
    weight: NonNegative = 1.0
    """Weight of the squared distance from its outputs."""
    only: bool = False
    """Whether only the teacher is learned from, not the rewards."""


@dataclass(frozen=True)
class TrainConfig:
    """Hyperparameters of the learner; ``train.*`` on the command line."""

    max_iterations: Count = 500
    """Number of training iterations."""
    horizon_length: Count = 16
    """Control steps per rollout, T."""
    num_epochs: Count = 4
    """Passes over each rollout."""
    minibatch_size: Count = 32768
    """Rows per minibatch; reduced automatically if it does not divide ``T * num_envs``."""
    num_minibatches: Size = 0
    """Number of minibatches; 0 is as many as ``minibatch_size`` makes."""
    minibatch_order: Literal["shuffled", "shuffled_once", "by_env", "contiguous"] = "shuffled"
    """Rows are permuted again each epoch, or once an iteration (rsl_rl); or minibatches are blocks
    of environments (rl_games), or slices in time order."""
    gamma: Fraction = 0.99
    """Discount factor."""
    gae_lambda: Fraction = 0.95
    """Trace decay (lambda) of the advantage estimation."""
    time_limit_bootstrap: Literal["final", "current", "none"] = "final"
    """How an episode goes on beyond its time limit: with the value of its final observation; with
    that of the observation before (rl_games, rsl_rl), which needs no final ones; or not at all."""
    clip_rewards: NonNegative = 0.0
    """Rewards are clamped to +- this before they are scaled; 0 leaves them."""
    clip_ratio: Positive = 0.2
    """PPO's clipping range epsilon, for the policy ratio and the clipped value loss."""
    value_loss_coef: NonNegative = 2.0
    """Weight of the value loss, half the squared error (rl_games' critic_coef)."""
    clip_value: bool = True
    """Whether the value loss is the maximum of the unclipped and the clipped loss."""
    entropy_coef: NonNegative = 0.0
    """Weight of the entropy bonus."""
    bounds_loss_coef: NonNegative = 1e-4
    """Weight of the penalty on action means outside +-1.1, the squared excess."""
    learning_rate: NonNegative = 3e-4
    """Initial learning rate."""
    critic_learning_rate: NonNegative = 0.0
    """Initial learning rate of a separate critic, which keeps its ratio to the actor's; 0 is the
    actor's."""
    min_learning_rate: NonNegative = 1e-6
    """Final learning rate of the linear schedule; lower limit of the adaptive schedule."""
    max_learning_rate: NonNegative = 1e-2
    """Upper limit of the adaptive schedule."""
    schedule: Literal["linear", "adaptive", "constant"] = "linear"
    """How the learning rate changes; ``adaptive`` follows ``adaptive_kl``."""
    linear_end: Literal["last", "after_last"] = "last"
    """The iteration at which the linear schedule reaches ``min_learning_rate``: the last one, or
    the one that would follow it (CleanRL)."""
    adaptive_kl: Positive = 0.008
    """Target KL of the adaptive schedule."""
    adapt_when: Literal["after_step", "before_step", "after_epoch"] = "after_step"
    """When the adaptive schedule looks at the KL: of each minibatch after its step (rl_games) or
    before it (rsl_rl), or the mean of an epoch's minibatches at its end (skrl)."""
    adapt_from_start: bool = False
    """Whether the adaptive schedule also looks at an iteration's first minibatch, which no step has
    preceded (rl_games)."""
    kl_estimate: Literal["forward", "reverse", "sampled"] = "forward"
    """What the KL divergence is to schedules and stopping: KL(old || new) (rsl_rl), KL(new || old)
    (rl_games), or the mean of r - 1 - log r over the actions taken (skrl, CleanRL)."""
    kl_reference: Literal["rollout", "last_visit"] = "rollout"
    """The old policy: the one that acted, or the one at the last visit of a minibatch (rl_games),
    whose rows must then be the same in each epoch."""
    target_kl: NonNegative = 0.02
    """The update stops once a minibatch's KL(old || new) exceeds 1.5 times this; 0 disables it."""
    kl_backoff: Annotated[float, Range(1, 10)] = 1.5
    """The linear schedule's rate is divided by this after an update that stopped within its first
    epoch, and recovers by it after each one that did not stop; 1 disables it."""
    max_grad_norm: NonNegative = 1.0
    """Global gradient norm to clip to; 0 disables clipping."""
    clip_gradients: Literal["global", "per_network"] = "global"
    """Whether that is the norm of all gradients, or of the actor's and a separate critic's each."""
    adam_eps: Positive = 1e-8
    """Adam's epsilon."""
    normalize_observations: bool = True
    """Whether observations are normalised by running statistics."""
    statistics_update: Literal["after", "before", "first_epoch"] = "after"
    """When a rollout's observations enter the statistics: after its training, so that training sees
    what acting saw; before (rl_games); or minibatch by minibatch in the first epoch (skrl)."""
    normalize_values: bool = True
    """Whether values and returns are normalised by running statistics of the returns."""
    normalize_advantages: Literal["global", "minibatch", "none"] = "global"
    """Normalise advantages over the whole rollout, over each minibatch, or not at all."""
    reward_scale: Positive = 1.0
    """Factor on the rewards used for the advantages; reported returns are unscaled."""
    hidden_sizes: Annotated[list[Count], Length(1, 16)] = field(
        default_factory=lambda: [256, 128, 64]
    )
    """Number of units in each hidden layer."""
    activation: Literal["elu", "relu", "tanh", "silu"] = "elu"
    """What is applied between the layers; all but ``silu`` are part of the fused layers."""
    layer_norm: bool = False
    """Whether hidden layers are normalised before their activation, outside the fused layers."""
    separate: bool = False
    """Whether the critic has separate hidden layers instead of sharing the actor's. It always has
    where it sees observations that the actor does not see."""
    critic_hidden_sizes: Annotated[list[Count], Length(0, 16)] = field(default_factory=list)
    """Number of units in each hidden layer of a separate critic; the actor's if empty."""
    memory: Literal["none", "lstm", "gru"] = "none"
    """Recurrent layers below the hidden ones, for tasks that do not show everything at once."""
    memory_size: Count = 64
    """Units of a recurrent layer."""
    memory_layers: Annotated[int, Range(1, 8)] = 1
    """Number of recurrent layers."""
    sequence_length: Size = 0
    """Steps that a recurrent network is trained through at a time; 0 is the whole rollout."""
    image_channels: Annotated[list[Count], Length(1, 8)] = field(
        default_factory=lambda: [32, 64, 64]
    )
    """Channels of the convolutions that an image goes through."""
    image_kernels: Annotated[list[Count], Length(1, 8)] = field(default_factory=lambda: [8, 4, 3])
    """Width of their kernels [pixels]."""
    image_strides: Annotated[list[Count], Length(1, 8)] = field(default_factory=lambda: [4, 2, 1])
    """Their strides [pixels]."""
    image_features: Count = 512
    """Number of features that an image becomes."""
    weight_init: Literal["torch", "orthogonal"] = "torch"
    """Weight initialisation: torch's default for linear layers, or orthogonal matrices."""
    action_distribution: Literal["gaussian", "tanh_gaussian"] = "gaussian"
    """Continuous actions: Gaussian, which the environment clamps, or squashed to +-1 by tanh."""
    state_dependent_std: bool = False
    """Whether standard deviations are outputs of the network instead of parameters of their own."""
    initial_log_std: Annotated[float, Range(-20.0, 20.0)] = 0.0
    """Initial log standard deviation of the actions."""
    min_log_std: Annotated[float, Range(-20.0, 20.0)] = -5.0
    """Lower limit of the log standard deviation."""
    max_log_std: Annotated[float, Range(-20.0, 20.0)] = 2.0
    """Upper limit of the log standard deviation."""
    save_every: Count = 50
    """Iterations between checkpoints."""
    keep_checkpoints: Size = 3
    """Number of numbered checkpoints to keep, the newest; beside them are last.pth and best.pth."""
    init_at_random_ep_len: bool = False
    """Start training with random episode step counts, so that the first time limits are not all
    reached in the same iteration. Source: rsl_rl, legged_gym."""
    curiosity: CuriosityConfig = field(default_factory=CuriosityConfig)
    symmetry: SymmetryConfig = field(default_factory=SymmetryConfig)
    distillation: DistillationConfig = field(default_factory=DistillationConfig)
    dqn: DqnConfig = field(default_factory=DqnConfig)

    @property
    def rows_together(self) -> int:
        """Rows that stay together in minibatches: a recurrent network's sequence, otherwise 1."""
        return 1 if self.memory == "none" else self.sequence_length or self.horizon_length

    @property
    def has_separate_critic(self) -> bool:
        """Whether the critic is a separate network whatever it sees."""
        return self.separate or bool(self.critic_hidden_sizes)


@dataclass(frozen=True)
class Config:
    """Everything a run depends on; saved with it."""

    task: Any = None
    """The task's configuration (see the task's ``Config``)."""
    train: TrainConfig = field(default_factory=TrainConfig)
    sim: Any = None
    """The engine's settings (see ``rlgpu.sim.ENGINES``)."""
    algorithm: Algorithm = "PPO"
    """``PPO``, or ``DQN`` for tasks with one discrete action."""
    preset: Preset = "none"
    """Values of ``train`` for the habits of a library or for a purpose, above those of the task's
    file and below the command line; the files are in ``rlgpu/config/presets``."""
    num_envs: Count = 0
    """Number of environments; default ``task.num_envs``, or 16 with ``test=True``."""
    max_iterations: Count = 0
    """Number of training iterations; default ``train.max_iterations``."""
    seed: Annotated[int, Range(-1, 2**63 - 1)] = 42
    """Random seed; -1 draws one and saves it with the run."""
    torch_deterministic: bool = False
    """Make runs bitwise reproducible on a GPU as well: MuJoCo Warp orders its contacts and sums,
    and torch refuses non-deterministic operations."""
    sim_device: Device = "auto"
    """Device of the engine: ``auto``, ``cpu`` or ``cuda:0``."""
    rl_device: Device = "auto"
    """Device of the learner: ``auto`` (the engine's), ``cpu`` or ``cuda:0``."""
    kernels: Literal["compiled", "torch"] = "compiled"
    """Use the compiled ops, or their plain PyTorch equivalents."""
    precision: Literal["tf32", "bf16", "fp32"] = "tf32"
    """Precision of the networks' matrix products, in acting and training; sums are float32. On the
    CPU tf32 means float32."""
    cuda_graphs: bool = True
    """On a GPU, launch the rollout and the update as one CUDA graph each."""
    compile: bool | None = None
    """Compile the small operations of the task: on a GPU by torch.compile, with those of the
    learner; on a CPU, with ``sim=fused``, to C++ that the user's cache keeps. Unset, a CPU run of
    fewer than 10000 control steps is not worth the wait. The run records what was chosen."""
    headless: bool = False
    """Play without a viewer. Training never opens one."""
    test: bool = False
    """Play a checkpoint back instead of training."""
    checkpoint: str = ""
    """Checkpoint to continue from or to play: ``latest``, ``best``, or the path of a file or a
    run's folder. Its run's settings apply; the command line changes only what it names."""
    weights_only: bool = False
    """Start a new run from a checkpoint's weights and the statistics of its observations and values
    alone, which fit any ``num_envs``, engine or variant of the task."""
    run: str = ""
    """A run's folder, to repeat it from its ``config.yaml``."""
    experiment: FolderName = ""
    """Folder under ``runs_dir``; the task's name if empty."""
    runs_dir: str = "runs"
    """Folder that contains the run folders."""
    games: Count = 100
    """Number of episodes that ``test=True`` plays without a viewer; after a video only if given."""
    capture_video: bool = False
    """Record mp4 videos; with ``test=True`` one, which Ctrl-C ends early."""
    capture_video_freq: Count = 1464
    """Control steps between videos during training."""
    capture_video_len: Count = 300
    """Length of a video in control steps."""
