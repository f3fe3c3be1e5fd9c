"""Everything a run writes, in a way that a full disk or a lost permission does not end training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rlgpu.errors import first_line
from rlgpu.training.checkpoint import keep_numbered, save_checkpoint
from rlgpu.training.metrics import IterationRecord, MetricsWriter
from rlgpu.training.run_folder import point_latest


class RunFiles:
    """The files in a run's folder. What cannot be written is said once and tried again later."""

    def __init__(
        self, folder: Path, title: str, keep_checkpoints: int, note: Callable[[str], None]
    ) -> None:
        """Prepares to write; nothing is written yet.

        Args:
            folder: The run's folder, which must exist.
            title: Title of the learning curve.
            keep_checkpoints: Number of numbered checkpoints to keep.
            note: Shows a line to the user.
        """
        self.folder = folder
        self._title, self._keep, self._note = title, keep_checkpoints, note
        self._metrics = MetricsWriter(folder)
        self._troubles: dict[str, str] = {}
        self._best: Mapping[str, Any] | None = None
        """The best content so far, until it has been saved."""

    @property
    def checkpoint(self) -> Path:
        """The newest checkpoint."""
        return self.folder / "nn" / "last.pth"

    @property
    def unsaved(self) -> str:
        """Why the last checkpoint could not be saved, or an empty string."""
        return self._troubles.get("checkpoints", "")

    def write(self, record: IterationRecord) -> None:
        """Appends an iteration's numbers to the logs."""
        self._attempt("metrics.csv and events", lambda: self._metrics.write(record))

    def keep_as_best(self, content: Mapping[str, Any]) -> None:
        """Remembers content to save as ``best.pth`` with the next checkpoint."""
        self._best = content

    def save(self, content: Mapping[str, Any], iteration: int, *, at_end: bool) -> None:
        """Saves the newest and the best checkpoint, and draws the learning curve."""
        self._attempt("checkpoints", lambda: self._save(content, iteration))
        self._attempt("learning_curve.png", lambda: self._metrics.draw(self._title, at_end=at_end))

    def record(self, record_video: Callable[[Path], object], path: Path) -> None:
        """Records a video."""

        def record() -> None:
            record_video(path)
            self._note(f"wrote {path}")

        self._attempt("videos", record)

    def _save(self, content: Mapping[str, Any], iteration: int) -> None:
        if self._best is not None:
            save_checkpoint(self.folder / "nn" / "best.pth", self._best)
            self._best = None
        save_checkpoint(self.checkpoint, content)
        keep_numbered(self.checkpoint, iteration, self._keep)
        point_latest(self.folder)

    def _attempt(self, what: str, write: Callable[[], None]) -> None:
        try:
            write()
        except OSError as error:
            reason = error.strerror or first_line(error)
            if what not in self._troubles:
                self._note(
                    f"cannot write {what} in {self.folder}: {reason}; training goes on, and "
                    "tries again at every save"
                )
            self._troubles[what] = reason
            return
        if self._troubles.pop(what, None):
            self._note(f"{what} in {self.folder} can be written again")
