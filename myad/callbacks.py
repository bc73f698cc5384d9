"""What watches a training: progress on the terminal, early stopping, or one's own."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from myad.errors import OptionError

if TYPE_CHECKING:
    from myad.nn import Sequential


class Callback:
    """Called by `fit`; derive and override what is needed."""

    def step_done(self, examples: int) -> None:
        """A step has ended; `examples` of this epoch have been seen."""

    def epoch_done(self, epoch: int, model: Sequential, history: Any) -> bool:
        """Epoch number `epoch` (from 1) has ended; return True to end the training."""
        return False


class EarlyStopping(Callback):
    """Ends the training when a figure of the history has not improved for `patience` epochs.

    Args:
        monitor: "loss", "validation_loss" or "validation_accuracy" (this one is to rise).
        patience: epochs without improvement that are tolerated.
        min_delta: what counts as an improvement.
        restore_best: set the model back to the weights of its best epoch when it stops.
    """

    def __init__(
        self,
        monitor: str = "validation_loss",
        patience: int = 0,
        min_delta: float = 0.0,
        restore_best: bool = False,
    ) -> None:
        allowed = ("loss", "validation_loss", "validation_accuracy")
        if monitor not in allowed:
            raise OptionError(f"EarlyStopping: {monitor!r} is none of {', '.join(allowed)}.")
        self.monitor, self.patience, self.min_delta = monitor, patience, min_delta
        self.restore_best = restore_best
        self.best = np.inf
        self.best_epoch = 0
        self._weights: dict[str, np.ndarray] | None = None

    def epoch_done(self, epoch: int, model: Sequential, history: Any) -> bool:
        figures = getattr(history, self.monitor)
        if not figures:
            raise OptionError(f"EarlyStopping: {self.monitor} needs validation_data.")
        figure = -figures[-1] if self.monitor == "validation_accuracy" else figures[-1]
        if figure < self.best - self.min_delta:
            self.best, self.best_epoch = figure, epoch
            self._weights = dict(model.parameters) if self.restore_best else None
        stop = epoch - self.best_epoch > self.patience
        if stop and self._weights is not None:
            model.parameters = self._weights
        return stop


class Progress(Callback):
    """One line per epoch on standard error; on a terminal a bar while the epoch runs."""

    def __init__(self, examples: int, epochs: int) -> None:
        self._examples, self._epochs = examples, epochs
        self._epoch = 1
        self._start = self._shown = time.monotonic()
        self._live = sys.stderr.isatty()

    def step_done(self, examples: int) -> None:
        if not self._live or time.monotonic() - self._shown < 0.1:
            return
        self._shown = time.monotonic()
        share = examples / self._examples
        left = (self._shown - self._start) * (1 - share) / share
        bar = "━" * round(30 * share)
        self._write(f"\r{self._title()} {bar:<30} {share:4.0%}  {left:.0f} s left ")

    def epoch_done(self, epoch: int, model: Sequential, history: Any) -> bool:
        text = f"loss {history.loss[-1]:.4f}  {history.seconds[-1]:.1f} s"
        if history.validation_loss:
            text += f"  validation loss {history.validation_loss[-1]:.4f}"
            text += f", accuracy {history.validation_accuracy[-1]:.4f}"
        self._write(f"\r{self._title()}  {text}".ljust(79 if self._live else 0).lstrip("\r") + "\n")
        self._epoch = epoch + 1
        self._start = time.monotonic()
        return False

    def _title(self) -> str:
        return f"epoch {self._epoch}/{self._epochs}"

    def _write(self, text: str) -> None:
        prefix = "\r" if self._live and not text.startswith("\r") else ""
        print(prefix + text, end="", file=sys.stderr, flush=True)
