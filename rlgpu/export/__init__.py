"""rlgpu's environments as those of other libraries, each imported only when it is used.

``rlgpu.export.gymnasium``, ``.stable_baselines3``, ``.rsl_rl`` and ``.rl_games``; skrl takes the
first: ``skrl.envs.wrappers.torch.wrap_env(GymnasiumEnv(env))``.
"""
