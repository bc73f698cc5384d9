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


# what EarlyStopping can watch, and whether it is to rise
MONITORS = {"loss": False, "val_loss": False, "val_accuracy": True}


class EarlyStopping(Callback):
    """Ends the training when a figure of the history has not improved for `patience` epochs.

    Args:
        monitor: "loss", "val_loss" or "val_accuracy" (this one is to rise).
        min_delta: what counts as an improvement.
        patience: epochs without improvement after which it stops; 0 is as 1.
        restore_best_weights: set the model back to its best epoch when it stops.
    Raises: OptionError for an unknown monitor, and in `fit` for one that is not measured there.
    Source: names, defaults and the meaning of patience as Keras' EarlyStopping.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        *,
        min_delta: float = 0.0,
        patience: int = 0,
        restore_best_weights: bool = False,
    ) -> None:
        if monitor not in MONITORS:
            raise OptionError(
                f"EarlyStopping: monitor {monitor!r} is none of {', '.join(MONITORS)}."
            )
        self.monitor, self.min_delta, self.patience = monitor, min_delta, patience
        self.restore_best_weights = restore_best_weights
        self.best = -np.inf if MONITORS[monitor] else np.inf
        self.best_epoch = 0
        self._weights: dict[str, np.ndarray] | None = None

    def epoch_done(self, epoch: int, model: Sequential, history: Any) -> bool:
        figure = self._latest(history)
        gain = figure - self.best if MONITORS[self.monitor] else self.best - figure
        if gain > self.min_delta:
            self.best, self.best_epoch = figure, epoch
            self._weights = dict(model.parameters) if self.restore_best_weights else None
        stop = epoch - self.best_epoch >= max(self.patience, 1)
        if stop and self._weights is not None:
            model.parameters = self._weights
        return stop

    def _latest(self, history: Any) -> float:
        measured = [name for name in MONITORS if getattr(history, name)]
        if self.monitor not in measured:
            raise OptionError(
                f"EarlyStopping: {self.monitor!r} is not measured here, only "
                f"{', '.join(measured)}. val_loss needs validation_data, val_accuracy class labels."
            )
        return float(getattr(history, self.monitor)[-1])


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
        for name in ("val_loss", "val_accuracy"):
            if getattr(history, name):
                text += f"  {name} {getattr(history, name)[-1]:.4f}"
        self._write(f"\r{self._title()}  {text}".ljust(79 if self._live else 0).lstrip("\r") + "\n")
        self._epoch = epoch + 1
        self._start = time.monotonic()
        return False

    def _title(self) -> str:
        return f"epoch {self._epoch}/{self._epochs}"

    def _write(self, text: str) -> None:
        prefix = "\r" if self._live and not text.startswith("\r") else ""
        print(prefix + text, end="", file=sys.stderr, flush=True)
