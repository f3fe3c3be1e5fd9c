"""Names of settings in IsaacGymEnvs, rl_games, rsl_rl and skrl, and what to write here instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class LeftOut(str):
    """Why a setting has nothing in its place here, instead of advice."""

    __slots__ = ()


class OldName(NamedTuple):
    """A setting of another library."""

    library: str
    instead: str
    """The key, or the choice of a file, that replaces it; empty if none does."""
    advice: str

    def __str__(self) -> str:
        """Returns a phrase that says what it is and what replaces it."""
        return f"a name of {self.library}: {self.advice}"


_NOT_NEEDED = LeftOut("leave it out")
_OF_PHYSX = LeftOut(f"{_NOT_NEEDED}: a setting of PhysX")
_TWICE = "train.value_loss_coef, 2 times its value: the value loss is half the squared error here"
_KL_THRESHOLD = (
    "train.adaptive_kl (adaptive schedule), or train.target_kl (early stopping), 2/3 of its value: "
    "an update stops at 1.5 times train.target_kl"
)

RENAMED_VALUES = {("kernels", "fused"): "compiled"}
"""Values of keys that have another name since; saved runs have them."""
OLD_NAMES: Mapping[str, Mapping[str, str]] = {
    "IsaacGymEnvs": {
        "numEnvs": "num_envs",
        "episodeLength": "task.episode_length",
        "maxEpisodeLength": "task.episode_length",
        "controlFrequencyInv": "task.decimation",
        "clipObservations": "task.clip_observations",
        "clipActions": "task.clip_actions",
        "powerScale": "task.power_scale; for Ant task.gear, 15 times its value",
        "angularVelocityScale": "task.ang_vel_scale",
        "actionScale": "task.action_scale",
        "headingWeight": "task.heading_weight",
        "upWeight": "task.up_weight",
        "actionsCost": "task.actions_cost",
        "energyCost": "task.energy_cost",
        "dofVelocityScale": "task.joint_vel_scale",
        "contactForceScale": "task.contact_force_scale",
        "jointsAtLimitCost": "task.joints_at_limit_cost",
        "deathCost": "task.death_cost",
        "terminationHeight": "task.termination_height",
        "resetDist": "task.reset_dist",
        "maxEffort": "task.max_push_effort",
        "dt": "task.physics_dt (its dt covers task.decimation physics steps)",
        "num_threads": "sim.num_threads",
        "task_name": "task=",
        "pipeline": "sim_device=cpu or sim_device=cuda:0",
        "physics_engine": "sim= to choose the engine",
        "graphics_device_id": _NOT_NEEDED,
        "solver_type": _OF_PHYSX,
        "num_subscenes": _OF_PHYSX,
        "force_render": _NOT_NEEDED,
        "sigma": "train.initial_log_std",
        "multi_gpu": LeftOut(f"{_NOT_NEEDED}: training on several GPUs is not available yet"),
        "pbt": LeftOut(f"{_NOT_NEEDED}: population based training is not available yet"),
        "wandb_activate": LeftOut(
            f"{_NOT_NEEDED}: Weights & Biases is not available yet; TensorBoard's files are in "
            "runs/"
        ),
    },
    "rl_games": {
        "e_clip": "train.clip_ratio",
        "tau": "train.gae_lambda",
        "mini_epochs": "train.num_epochs",
        "critic_coef": "train.value_loss_coef",
        "clip_value": "train.clip_value",
        "kl_threshold": _KL_THRESHOLD,
        "lr_schedule": "train.schedule",
        "grad_norm": "train.max_grad_norm",
        "truncate_grads": "train.max_grad_norm (0 does not clip)",
        "max_epochs": "max_iterations",
        "save_frequency": "train.save_every",
        "normalize_input": "train.normalize_observations",
        "normalize_value": "train.normalize_values",
        "normalize_advantage": "train.normalize_advantages",
        "scale_value": "train.reward_scale",
        "units": "train.hidden_sizes",
        "rnn": "train.memory",
        "seq_length": "train.sequence_length",
        "seq_len": "train.sequence_length",
        "value_bootstrap": "train.time_limit_bootstrap=current",
        "mixed_precision": "precision=bf16",
        "central_value_config": "task.hidden with task.hidden_from=policy: the critic has columns "
        "of its own",
        "bounds_loss_coef": "train.bounds_loss_coef",
        "num_actors": "num_envs",
        "games_num": "games",
        "full_experiment_name": "experiment",
    },
    "rsl_rl": {
        "num_steps_per_env": "train.horizon_length",
        "num_learning_epochs": "train.num_epochs",
        "num_mini_batches": "train.num_minibatches",
        "clip_param": "train.clip_ratio",
        "lam": "train.gae_lambda",
        "desired_kl": "train.adaptive_kl (adaptive schedule)",
        "use_clipped_value_loss": "train.clip_value",
        "init_noise_std": "train.initial_log_std, its logarithm",
        "actor_hidden_dims": "train.hidden_sizes",
        "critic_hidden_dims": "train.critic_hidden_sizes",
        "rnn_type": "train.memory",
        "rnn_hidden_dim": "train.memory_size",
        "rnn_num_layers": "train.memory_layers",
        "rnd_cfg": "train.curiosity.weight",
        "symmetry_cfg": "train.symmetry.augment",
        "noise_std_type": LeftOut(
            f"{_NOT_NEEDED}: the logarithm of the standard deviation is learned, as with "
            "noise_std_type=log"
        ),
        "value_loss_coef": _TWICE,
        "empirical_normalization": "train.normalize_observations",
        "save_interval": "train.save_every",
        "experiment_name": "experiment",
        "run_name": "experiment",
        "resume": "checkpoint=latest",
        "load_run": "checkpoint=FOLDER",
        "max_init_episode_length": "train.init_at_random_ep_len",
    },
    "skrl": {
        "rollouts": "train.horizon_length",
        "learning_epochs": "train.num_epochs",
        "mini_batches": "train.num_minibatches",
        "discount_factor": "train.gamma",
        "lambda": "train.gae_lambda",
        "lambda_": "train.gae_lambda",
        "learning_rate_scheduler": "train.schedule",
        "grad_norm_clip": "train.max_grad_norm",
        "ratio_clip": "train.clip_ratio",
        "value_clip": "train.clip_value (its range is train.clip_ratio)",
        "clip_predicted_values": "train.clip_value",
        "entropy_loss_scale": "train.entropy_coef",
        "value_loss_scale": _TWICE,
        "rewards_shaper": "train.reward_scale",
        "rewards_shaper_scale": "train.reward_scale",
        "state_preprocessor": "train.normalize_observations",
        "observation_preprocessor": "train.normalize_observations",
        "value_preprocessor": "train.normalize_values",
        "time_limit_bootstrap": "train.time_limit_bootstrap",
        "kl_threshold": _KL_THRESHOLD,
        "checkpoint_interval": "train.save_every, in iterations (control steps / "
        "train.horizon_length)",
        "timesteps": "max_iterations (control steps / train.horizon_length)",
    },
}
"""By library: its name for a setting, without the groups before it, and what to write here."""

_GROUPS = (
    "train.params.config.",
    "train.params.network.",
    "train.params.",
    "task.env.",
    "task.sim.",
)
"""Where IsaacGymEnvs' command line has its settings."""


def our_name(key: str, ours: Mapping[str, object]) -> OldName | None:
    """Returns what replaces a key of another library, or None for other keys.

    Args:
        key: An unknown key.
        ours: The known keys; one that only lacks IsaacGymEnvs' groups is found among them.
    """
    bare = key.rpartition(".")[2]
    group = next((group for group in _GROUPS if key.startswith(group)), "")
    for library, names in OLD_NAMES.items():
        if bare in names:
            return _advised("IsaacGymEnvs" if group else library, names[bare])
    if group:
        same = next((name for name in (f"train.{bare}", f"task.{bare}", bare) if name in ours), "")
        advice = same or LeftOut("it has no counterpart here")
        return _advised("IsaacGymEnvs", advice)
    if bare.startswith("wandb_"):
        return _advised("IsaacGymEnvs", OLD_NAMES["IsaacGymEnvs"]["wandb_activate"])
    return None


def _advised(library: str, advice: str) -> OldName:
    if isinstance(advice, LeftOut):
        return OldName(library, "", advice)
    ours = advice.split(maxsplit=1)[0].partition("=")[0].rstrip(",;")
    return OldName(library, ours, f"use {advice}")
