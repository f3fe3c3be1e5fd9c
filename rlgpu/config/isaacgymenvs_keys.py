"""Maps configuration keys of IsaacGymEnvs and rl_games to the keys used here."""

from __future__ import annotations

_TRAIN = {
    "e_clip": "clip_ratio",
    "tau": "gae_lambda",
    "mini_epochs": "num_epochs",
    "critic_coef": "value_loss_coef",
    "kl_threshold": "adaptive_kl (adaptive schedule) or train.target_kl (early stopping)",
    "lr_schedule": "schedule",
    "grad_norm": "max_grad_norm",
    "truncate_grads": "max_grad_norm (0 does not clip)",
    "max_epochs": "max_iterations",
    "save_frequency": "save_interval",
    "normalize_input": "normalize_observations",
    "normalize_value": "normalize_values",
    "normalize_advantage": "normalize_advantages",
    "reward_shaper.scale_value": "reward_scale",
    "units": "hidden_sizes",
    "mlp.units": "hidden_sizes",
    "bounds_loss_coef": "bounds_loss_coef",
    "num_actors": "num_envs",
}
_TASK = {
    "numEnvs": "num_envs",
    "episodeLength": "task.episode_length",
    "maxEpisodeLength": "task.episode_length",
    "controlFrequencyInv": "task.decimation",
    "clipObservations": "task.clip_observations",
    "clipActions": "task.clip_actions",
    "powerScale": "task.gear",
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
}
_TOP = {
    "num_threads": "use sim.num_threads",
    "task_name": "use task=",
    "pipeline": "use sim_device=cpu or sim_device=cuda:0",
    "physics_engine": "choose the engine with sim=",
    "graphics_device_id": "not needed; leave it out",
    "solver_type": "a PhysX setting; leave it out",
    "num_subscenes": "a PhysX setting; leave it out",
    "force_render": "not needed; leave it out",
    "sigma": "use train.initial_log_std",
    "multi_gpu": "training on several GPUs is not available yet",
    "pbt": "population based training is not available yet",
    "wandb_activate": "Weights & Biases is not available yet; TensorBoard files are in runs/",
}


def our_key(key: str) -> str | None:
    """Returns a phrase saying what replaces an IsaacGymEnvs key, or None for any other key."""
    if key in _TOP:
        return _TOP[key]
    for prefix in ("train.params.config.", "train.params.network.", "train.params."):
        if key.startswith(prefix):
            name = key.removeprefix(prefix)
            ours = _TRAIN.get(name, name)
            return "use num_envs" if ours == "num_envs" else f"use train.{ours}"
    for prefix in ("task.env.", "task.sim."):
        if key.startswith(prefix):
            name = key.removeprefix(prefix)
            if name == "dt":
                return "use task.physics_dt (its dt covers task.decimation physics steps)"
            return f"use {_TASK[name]}" if name in _TASK else "it has no counterpart here"
    if key.startswith("wandb_"):
        return _TOP["wandb_activate"]
    return None
