"""LunarLander-v3: rlgpu's environments, which run in processes, and rlgpu's agent."""

import rlgpu

env = rlgpu.make_env("gym:LunarLander-v3", num_envs=64, seed=1)
spaces = env.observation_space, env.action_space
agent = rlgpu.PPOAgent(*spaces, 64, max_iterations=300, horizon_length=128, minibatch_size=2048,
                       gamma=0.999, gae_lambda=0.98, learning_rate=1e-3, entropy_coef=0.01,
                       reward_scale=0.05, hidden_sizes=[64, 64])  # fmt: skip
for iteration in range(300):
    while not agent.ready:
        agent.observe(*env.step(agent.act(env.observations).actions))
    metrics = agent.update()
    print(iteration, f"mean return {metrics['mean_return']:.1f}, KL {metrics['approx_kl']:.4f}")
agent.save("lunar_lander.pth")
