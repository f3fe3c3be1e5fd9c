"""Whatever is typed, written or damaged: a result or one sentence, never a traceback.

The examples are drawn at random, the same ones in every run (derandomize).
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rlgpu.config import Config, compose, keys_of, read_file, read_words
from rlgpu.errors import UsageError, one_line
from rlgpu.sim import ENGINES
from rlgpu.tasks import TASKS
from rlgpu.tools.new_task import task_files
from rlgpu.training import build_env, load_checkpoint
from rlgpu.training.checkpoint import save_checkpoint
from tests.examples import examples

ROOT = Path(__file__).parents[2]
KEYS = [*sorted(keys_of(Config)), "task", "train", "sim", "task.gear", "sim.lanes"]
SCALARS = [
    "nan", "inf", "-inf", ".nan", "1e400", "-1", "0", "1", "1.5", "1e3", "-0.0", "010", "0x10",
    "1_000", "1:30", "on", "yes", "no", "true", "null", "~", "", " ", "[]", "[[]]", "[1,2]", "[a]",
    "{}", "{a: 1}", "{a: 1, a: 2}", "*x", "&x 1", "!!int 3", "!!python/name:os.system", "auto",
    "cpu", "cuda:0", "cuda:x", "Ant", "../../etc", "[red]bold[/red]", "naïve", "日本", "\u202e",
    "9" * 400, "a" * 2000, "[" * 200, "'", '"', "%s", "{0}", "$(ls)", "2026-01-01", "latest",
]  # fmt: skip
TEXTS = st.one_of(st.sampled_from(SCALARS), st.text(max_size=12), st.integers().map(str),
                  st.floats().map(str))  # fmt: skip
NAMES = st.one_of(st.sampled_from(KEYS), st.text(max_size=12))
WORDS = st.one_of(
    st.tuples(NAMES, TEXTS).map("=".join), st.text(max_size=20), st.sampled_from(["--help", "-x=1"])
)


def refused(error: UsageError) -> None:
    """Checks that a refusal is one line of at most 300 characters that a terminal can show."""
    line = f"error: {one_line(error)}"
    assert len(line) <= 300
    assert len(line) > 20
    assert line.isprintable(), repr(line)


@examples(1000)
@given(words=st.lists(WORDS, max_size=4))
def test_any_command_line_composes_or_is_refused(words) -> None:
    """Keys and values as people mistype them, and noise."""
    try:
        composed = compose(words, TASKS, ENGINES)
    except UsageError as error:
        refused(error)
        return
    for key, value in read_words(words).items():
        assert "nan" not in value.lower() or key in ("experiment", "checkpoint", "run", "runs_dir")
    assert composed.config.num_envs >= 1


YAML = st.recursive(
    st.one_of(TEXTS, st.sampled_from(["name: Hopper", "force: 3", "num_envs: 8"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda parts: "\n".join(f"- {p}" for p in parts)),
        st.lists(st.tuples(NAMES, inner), max_size=4).map(
            lambda rows: "\n".join(f"{key}: {value}" for key, value in rows)
        ),
    ),
    max_leaves=6,
)


@examples(1000)
@given(text=YAML)
def test_any_yaml_file_is_a_mapping_or_is_refused(tmp_path, text) -> None:
    """Also through the whole configuration, as a task's values."""
    folder = tmp_path / "task"
    folder.mkdir(exist_ok=True)
    for name, content in task_files("Hopper").items():
        (folder / name).write_text(content)
    file = folder / "Hopper.yaml"
    file.write_text(text, encoding="utf-8", errors="surrogatepass")
    try:
        assert isinstance(read_file(file), dict)
        compose([f"task={folder / 'hopper.py'}:Hopper"], TASKS, ENGINES)
    except UsageError as error:
        refused(error)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> bytes:
    """A small checkpoint."""
    path = tmp_path_factory.mktemp("whole") / "last.pth"
    parts = {name: {"x": torch.arange(9.0)} for name in ("config", "agent", "env", "trainer")}
    save_checkpoint(path, {"origin": {}, "joint_names": ["a"], **parts})
    assert load_checkpoint(path)["joint_names"] == ["a"]
    return path.read_bytes()


@examples(1000)
@given(data=st.data())
def test_any_checkpoint_loads_whole_or_is_refused(tmp_path, whole, data) -> None:
    """Cut, overwritten, shuffled, or bytes that were never one."""
    kind = data.draw(st.sampled_from(["cut", "overwrite", "insert", "noise"]))
    place = data.draw(st.integers(0, len(whole) - 1))
    piece = data.draw(st.binary(min_size=1, max_size=40))
    damaged = {
        "cut": whole[:place],
        "overwrite": whole[:place] + piece + whole[place + len(piece) :],
        "insert": whole[:place] + piece + whole[place:],
        "noise": piece,
    }[kind]
    path = tmp_path / "damaged.pth"
    path.write_bytes(damaged)
    try:
        content = load_checkpoint(path)
    except UsageError as error:
        refused(error)
        return
    assert torch.equal(content["agent"]["x"], torch.arange(9.0))
    assert content["joint_names"] == ["a"]


LINES = st.sampled_from(
    ["x = 1 / 0", "return None", "return actions", "raise ValueError('no\\nway')", "import nothing",
     "def f(:", "num_actions = 0", "class Other: pass", "return state.joint_pos * float('nan')",
     "self.missing", "sim.step()", "return torch.zeros(3)", "    odd", "\tx", "return 1", "yield 3",
     "num_observations = 'two'", "Config = None", "raise SystemError", "return []", "pass"]
)  # fmt: skip


@examples(1000)
@given(data=st.data())
def test_any_task_is_built_or_is_refused(tmp_path, data) -> None:
    """A working task with one or two lines replaced, removed or added."""
    folder = tmp_path / "task"
    folder.mkdir(exist_ok=True)
    for name, content in task_files("Hopper").items():
        (folder / name).write_text(content)
    lines = task_files("Hopper")["hopper.py"].splitlines()
    for _ in range(data.draw(st.integers(1, 2))):
        place = data.draw(st.integers(0, len(lines) - 1))
        indent = re.match(r"\s*", lines[place]).group()
        new = data.draw(st.one_of(LINES.map(lambda line, i=indent: i + line), st.just("")))
        lines[place : place + data.draw(st.integers(0, 1))] = [new]
    (folder / "hopper.py").write_text("\n".join(lines))
    try:
        composed = compose([f"task={folder / 'hopper.py'}:Hopper", "num_envs=8"], TASKS, ENGINES)
        env = build_env(composed.config, composed.task_class, 8, 0)
    except UsageError as error:
        refused(error)
        return
    env.step(torch.zeros(8, 1))
    env.sim.close()
