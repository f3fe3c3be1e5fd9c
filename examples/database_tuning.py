"""Tunes SQLite by PPO: what is measured of a workload in, four parameters out.

    python examples/database_tuning.py [measurements]

The workload changes from episode to episode: point reads, scans and writes in other shares, on a
larger or smaller part of the table. PPO learns to choose parameters by what it measures. Random
search, with as many measurements, keeps the one setting that was best on average. Both are then
compared with SQLite's defaults on workloads that neither has seen.
"""

from __future__ import annotations

import math
import random
import sqlite3
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import gymnasium
import numpy as np
from gymnasium import spaces

import rlgpu

ROWS, OPERATIONS = 20_000, 150
PAGE_SIZES = (1024, 2048, 4096, 8192, 16384, 32768)
MOST_CONNECTIONS = 8
EPISODE = 6  # settings tried on a workload before the next


class Setting(NamedTuple):
    cache_kib: int
    page_size: int
    mmap_bytes: int
    connections: int


DEFAULT = Setting(2000, 4096, 0, 1)


def setting_of(action: np.ndarray) -> Setting:
    """Returns the parameters for four numbers from 0 to 1: sizes are on a logarithmic scale."""
    cache, page, mmap, connections = np.clip(action, 0.0, 1.0)
    return Setting(
        int(64 * 1024**cache),  # 64 KiB to 64 MiB
        PAGE_SIZES[min(int(page * len(PAGE_SIZES)), len(PAGE_SIZES) - 1)],
        int(64 * 2**20 * mmap),  # 0 to 64 MiB
        1 + min(int(connections * MOST_CONNECTIONS), MOST_CONNECTIONS - 1),
    )


class Workload(NamedTuple):
    scans: float
    writes: float
    hot: float
    """Part of the table that is used."""

    @classmethod
    def drawn(cls, rng: random.Random) -> Workload:
        scans, writes = rng.random() ** 2, 0.3 * rng.random() ** 2
        return cls(scans * (1 - writes), writes, 0.02 + 0.98 * rng.random())


class Measured(NamedTuple):
    throughput: float
    """Operations per second."""
    mean: float
    p95: float
    """Of the latencies [s]."""
    bytes_read: float
    """From the system, per operation: what no cache held."""
    cpu: float
    """Seconds of computing per second."""


class Database:
    """A table in one file for each page size, with connections that stay open."""

    def __init__(self, folder: Path) -> None:
        payload = random.Random(0).randbytes(400)
        self._pools: dict[int, list[sqlite3.Connection]] = {}
        for size in PAGE_SIZES:
            file = folder / f"{size}.db"
            with sqlite3.connect(file) as made:
                made.execute(f"PRAGMA page_size={size}")
                made.execute("PRAGMA journal_mode=WAL")
                made.execute("CREATE TABLE items (id INTEGER PRIMARY KEY, key INTEGER, data BLOB)")
                rows = ((i, i * 7919 % ROWS, payload) for i in range(ROWS))
                made.executemany("INSERT INTO items VALUES (?, ?, ?)", rows)
                made.execute("CREATE INDEX by_key ON items (key)")
            made.close()
            self._pools[size] = [
                sqlite3.connect(file, timeout=10, isolation_level=None, check_same_thread=False)
                for _ in range(MOST_CONNECTIONS)
            ]
            for connection in self._pools[size]:
                connection.execute("PRAGMA synchronous=NORMAL")
        self._threads = ThreadPoolExecutor(MOST_CONNECTIONS)

    def measure(self, setting: Setting, workload: Workload, rng: random.Random) -> Measured:
        """Runs the workload with a setting, after a third of it to warm up."""
        pool = self._pools[setting.page_size][: setting.connections]
        for connection in pool:
            connection.execute(f"PRAGMA cache_size=-{setting.cache_kib}")
            connection.execute(f"PRAGMA mmap_size={setting.mmap_bytes}")
        plan = [
            (rng.random(), rng.randrange(max(int(workload.hot * ROWS), 100)))
            for _ in range(OPERATIONS)
        ]
        self._run(pool, workload, plan[: OPERATIONS // 3])
        read, cpu, began = _bytes_read(), time.process_time(), time.perf_counter()
        latencies = self._run(pool, workload, plan)
        seconds = time.perf_counter() - began
        return Measured(
            OPERATIONS / seconds,
            float(np.mean(latencies)),
            float(np.quantile(latencies, 0.95)),
            (_bytes_read() - read) / OPERATIONS,
            (time.process_time() - cpu) / seconds,
        )

    def _run(self, pool, workload: Workload, plan) -> list[float]:
        shares = [plan[i :: len(pool)] for i in range(len(pool))]
        parts = self._threads.map(
            lambda both: _operate(*both, workload), zip(pool, shares, strict=True)
        )
        return [latency for part in parts for latency in part]


def _operate(connection: sqlite3.Connection, plan, workload: Workload) -> list[float]:
    latencies = []
    for kind, row in plan:
        began = time.perf_counter()
        if kind < workload.scans:
            connection.execute(
                "SELECT sum(length(data)) FROM items WHERE key BETWEEN ? AND ?", (row, row + 300)
            ).fetchone()
        elif kind < workload.scans + workload.writes:
            connection.execute("UPDATE items SET key = (key + 1) % ? WHERE id = ?", (ROWS, row))
        else:
            connection.execute("SELECT data FROM items WHERE id = ?", (row,)).fetchone()
        latencies.append(time.perf_counter() - began)
    return latencies


def _bytes_read() -> int:
    """Returns what this process has read from the system, 0 where it does not say."""
    try:
        lines = Path("/proc/self/io").read_text().splitlines()
    except OSError:
        return 0
    return int(lines[0].split()[1])


def score(measured: Measured, default: Measured) -> float:
    """Returns how much better than the default: 0 is as good, 0.7 about twice as good."""
    faster = math.log(measured.throughput / default.throughput)
    return 0.5 * faster + 0.5 * math.log(default.p95 / measured.p95)


class Tuning(gymnasium.Env):
    """An episode is a workload; a step measures a setting on it."""

    observation_space = spaces.Box(-np.inf, np.inf, (8,))
    action_space = spaces.Box(0.0, 1.0, (4,))

    def __init__(self, database: Database) -> None:
        self._database, self.rng = database, random.Random(0)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        if seed is not None:
            self.rng = random.Random(seed)
        self.workload, self._steps = Workload.drawn(self.rng), 0
        self.default = self._database.measure(DEFAULT, self.workload, self.rng)
        return self._observed(self.default), {}

    def step(self, action):
        self.measured = self._database.measure(setting_of(action), self.workload, self.rng)
        self._steps += 1
        reward = score(self.measured, self.default)
        return self._observed(self.measured), reward, False, self._steps == EPISODE, {}

    def _observed(self, measured: Measured) -> np.ndarray:
        logs = [math.log10(max(x, 1e-9)) for x in measured[:3]]
        read = math.log10(1.0 + measured.bytes_read)
        return np.array([*logs, read, measured.cpu, *self.workload], np.float32)


def train(env: Tuning, measurements: int) -> rlgpu.PPOAgent:
    """Returns an agent that has learned from a number of measurements."""
    horizon = 8 * EPISODE
    updates = max(measurements * EPISODE // (EPISODE + 1) // horizon, 1)
    agent = rlgpu.PPOAgent(
        env.observation_space,
        env.action_space,
        max_iterations=updates,
        horizon_length=horizon,
        num_epochs=10,
        minibatch_size=24,
        learning_rate=1e-3,
        gamma=0.5,
        hidden_sizes=[32, 32],
        initial_log_std=-0.5,
        target_kl=0.03,
        separate=True,
    )
    observation, _ = env.reset(seed=1)
    for update in range(updates):
        while not agent.ready:
            observation, reward, _, ended, _ = env.step(agent.act(observation).actions)
            final = observation
            if ended:
                observation, _ = env.reset()
            agent.observe(observation, reward, False, ended, final)
        metrics = agent.update()
        if update % 5 == 0 or update == updates - 1:
            mean = metrics["mean_return"] / EPISODE
            print(f"update {update + 1}/{updates}: score of a step {mean:+.2f}", flush=True)
    return agent


def search(env: Tuning, measurements: int, each: int = 10) -> Setting:
    """Returns the best of random settings, each measured on as many random workloads."""
    rng = np.random.default_rng(2)
    best, best_score = DEFAULT, 0.0
    env.reset(seed=2)
    for _ in range(measurements // (2 * each)):  # the default is measured too
        action, scores = rng.random(4), []
        for _ in range(each):
            env.reset()
            scores.append(env.step(action)[1])
        if np.mean(scores) > best_score:
            best, best_score = setting_of(action), float(np.mean(scores))
    return best


def compare(env: Tuning, agent: rlgpu.PPOAgent, found: Setting, workloads: int) -> None:
    """Measures all three on the same new workloads, one after the other, and prints the result."""
    rows: dict[str, list[tuple[float, float, float]]] = {"defaults": [], "random": [], "PPO": []}
    observation, _ = env.reset(seed=3)
    for _ in range(workloads):
        action = None
        for _ in range(2):  # it looks at the default, then at its own first choice
            action = agent.act(observation, deterministic=True).actions
            observation, *_ = env.step(action)
        for name, setting in zip(rows, (DEFAULT, found, setting_of(action)), strict=True):
            tries = [env._database.measure(setting, env.workload, env.rng) for _ in range(3)]
            tries.sort(key=lambda x: x.throughput)
            if name == "defaults":
                env.default = tries[1]
            middle = tries[1]
            rows[name].append((middle.throughput, 1e3 * middle.p95, score(middle, env.default)))
        observation, _ = env.reset()
    print(f"\n{workloads} new workloads, medians: operations/s, p95 latency, score (0: default)")
    for name, values in rows.items():
        speed, late, gain = np.median(values, axis=0)
        wins = np.mean([value[2] > 0 for value in values])
        print(f"{name:9} {speed:9.0f}/s {late:8.3f} ms {gain:+6.2f}   better: {wins:4.0%}")


def main() -> None:
    """Trains, searches and compares."""
    measurements = int(sys.argv[1]) if len(sys.argv) > 1 else 6000
    with tempfile.TemporaryDirectory() as folder:
        env = Tuning(Database(Path(folder)))
        began = time.perf_counter()
        agent = train(env, measurements)
        print(f"PPO: {measurements} measurements in {time.perf_counter() - began:.0f} s")
        found = search(env, measurements)
        print(f"random search found {found}")
        compare(env, agent, found, workloads=max(min(measurements // 100, 40), 3))


if __name__ == "__main__":
    main()
