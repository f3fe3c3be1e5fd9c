"""Makes the pictures of docs/tasks.md: a frame of playback beside the run's learning curve.

    python benchmarks/task_pictures.py runs/Go2/latest [environments=4] [second=3]

Records a video of the run's policy, takes one frame, and writes docs/tasks/<task>.png.
"""

from __future__ import annotations

import csv
import subprocess
import sys
import tempfile
from pathlib import Path

import imageio_ffmpeg
from matplotlib.figure import Figure
from matplotlib.image import imread

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.command_line import read_command_line, refuse  # noqa: E402


def frame_of(run: Path, environments: int, second: float) -> Path:
    """Records a video of a run's policy and returns one frame of it as a picture."""
    words = ["test=True", f"checkpoint={run}", "headless=True", "capture_video=True", "seed=3"]
    words += [f"num_envs={environments}", f"games={environments}", "capture_video_len=400"]
    subprocess.run([sys.executable, ROOT / "train.py", *words], check=True, cwd=ROOT)
    video = max((run / "videos").glob("*.mp4"), key=lambda path: path.stat().st_mtime)
    frame = Path(tempfile.mkdtemp()) / "frame.png"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-ss", str(second)]
    subprocess.run([*command, "-i", video, "-frames:v", "1", frame], check=True)
    return frame


def main(arguments: list[str]) -> None:
    """Writes the picture."""
    defaults = {"environments": 1, "second": 3.0}
    options, folders = read_command_line(arguments, defaults, __doc__, others="words")
    if len(folders) != 1:
        refuse(f"{len(folders)} folders of runs are given, wanted one, such as runs/Go2/latest")
    run = Path(folders[0]).resolve()
    with (run / "metrics.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if float(row["episodes"] or 0) > 0]
    figure = Figure(figsize=(10, 2.9), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1.75, 1])
    left.imshow(imread(frame_of(run, options["environments"], options["second"])))
    left.axis("off")
    minutes = [float(row["wall_time"]) / 60 for row in rows]
    right.plot(minutes, [float(row["mean_return"]) for row in rows], color="#d9722e")
    right.set(xlabel="minutes of training on 2 cores", ylabel="mean return")
    right.grid(alpha=0.3)
    right.spines[["top", "right"]].set_visible(False)
    target = ROOT / "docs" / "tasks" / f"{run.parent.name}.png"
    target.parent.mkdir(exist_ok=True)
    figure.savefig(target, dpi=80, pil_kwargs={"optimize": True})
    print(f"wrote {target.relative_to(ROOT)}, {target.stat().st_size / 1024:.0f} kB")


if __name__ == "__main__":
    main(sys.argv[1:])
