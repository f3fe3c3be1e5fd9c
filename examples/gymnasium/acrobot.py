"""Acrobot-v1 by one call, with the values of cfg/train/gym_Acrobot-v1PPO.yaml."""

import rlgpu

result = rlgpu.train(task="gym:Acrobot-v1", seed=1)
print(
    f"mean return {result.mean_return:.0f} after {result.env_steps} steps, {result.seconds:.0f} s"
)
print(f"the curve is in {result.folder}/learning_curve.png")
