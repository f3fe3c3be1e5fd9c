"""CartPole-v1 in your own loop: Gymnasium's environments, rlgpu's agent."""

import gymnasium as gym

import rlgpu

mode = {"autoreset_mode": gym.vector.AutoresetMode.SAME_STEP}
envs = gym.make_vec("CartPole-v1", 64, vectorization_mode="sync", vector_kwargs=mode)
spaces = envs.single_observation_space, envs.single_action_space
agent = rlgpu.PPOAgent(*spaces, 64, max_iterations=80, horizon_length=64, minibatch_size=1024,
                       learning_rate=1e-3, reward_scale=0.1, hidden_sizes=[64, 64])  # fmt: skip
observations, _ = envs.reset(seed=1)
for iteration in range(80):
    while not agent.ready:
        observations, *outcome = envs.step(agent.act(observations).actions)
        agent.observe(observations, *outcome)
    metrics = agent.update()
    print(iteration, f"mean return {metrics['mean_return']:.1f}, KL {metrics['approx_kl']:.4f}")
agent.save("cartpole.pth")
