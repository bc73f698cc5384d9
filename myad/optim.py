"""Optimizers as pure pairs: `init` makes the state, `update` returns new weights and a new state.

θ is a weight, g its gradient, α the learning rate, t the number of the step from 1, λ the weight
decay. With weight decay, θ ← θ·(1 − α·λ) comes before the update, as in Keras (Loshchilov & Hutter
2019, arXiv:1711.05101). The rules work on arrays and on tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from myad.errors import OptionError
from myad.ops.arithmetic import power
from myad.ops.compare import astype
from myad.ops.functions import sqrt

Arrays = dict[str, Any]
Schedule = Callable[[Any], Any]


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    """What all optimizers have in common.

    The learning rate is a number, or a schedule: a function of the number of steps done before.
    """

    learning_rate: float | Schedule = field(kw_only=False)  # may be given by position, as in Keras
    weight_decay: float | None = None
    name: ClassVar[str]

    def __post_init__(self) -> None:
        rate = self.learning_rate
        if not callable(rate) and not (np.isfinite(rate) and rate >= 0):
            raise OptionError(f"{self.name}: learning_rate must be a number >= 0, not {rate!r}.")
        if self.weight_decay is not None and not self.weight_decay >= 0:
            raise OptionError(f"{self.name}: weight_decay must be >= 0, not {self.weight_decay}.")

    def slots(self) -> tuple[str, ...]:
        """Names of the arrays kept beside each weight; they start at 0."""
        return ()

    def init(self, parameters: Mapping[str, Any]) -> Arrays:
        """The state before the first step: "step", and "<weight>.<slot>" for each weight."""
        state: Arrays = {"step": np.zeros((), np.int32)}
        for name, p in parameters.items():
            for slot in self.slots():
                state[f"{name}.{slot}"] = np.zeros(p.shape, p.dtype)
        return state

    def update(
        self, gradients: Mapping[str, Any], state: Mapping[str, Any], parameters: Mapping[str, Any]
    ) -> tuple[Arrays, Arrays]:
        """One step: (new parameters, new state). Nothing is changed in place."""
        step = state["step"]
        new: Arrays = {}
        new_state: Arrays = {"step": step + 1}
        slots = self.slots()
        factors: dict[Any, Any] = {}  # one per dtype: they cost more than a small weight's update
        for name, p in parameters.items():
            dtype = p.dtype
            if dtype not in factors:
                factors[dtype] = self.factors(step, dtype)
            if self.weight_decay is not None:
                p = p - p * self.weight_decay * self._rate(step, dtype)
            old = [state[f"{name}.{slot}"] for slot in slots] if slots else []
            new[name], kept = self.rule(p, gradients[name], old, factors[dtype])
            for slot, value in zip(slots, kept, strict=True):
                new_state[f"{name}.{slot}"] = value
        return new, new_state

    def factors(self, step: Any, dtype: np.dtype) -> Any:
        """The numbers of a step that are the same for every weight; by default α."""
        return self._rate(step, dtype)

    def rule(self, p: Any, g: Any, slots: list[Any], factors: Any) -> tuple[Any, list[Any]]:
        """New weight and new slots."""
        raise NotImplementedError

    def _rate(self, step: Any, dtype: np.dtype) -> Any:
        if callable(self.learning_rate):
            return self.learning_rate(astype(step, dtype))
        return self.learning_rate


@dataclass(frozen=True, kw_only=True)
class SGD(Optimizer):
    """Gradient descent: θ ← θ − α·g.

    With momentum μ: m ← μ·m − α·g, θ ← θ + m; Nesterov's variant: θ ← θ + μ·m − α·g
    (Sutskever et al. 2013, equations 3 and 4, rewritten as in Keras).
    """

    learning_rate: float | Schedule = field(default=0.01, kw_only=False)
    momentum: float = 0.0
    nesterov: bool = False
    name: ClassVar[str] = "sgd"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_share(self.name, "momentum", self.momentum)

    def slots(self) -> tuple[str, ...]:
        return ("momentum",) if self.momentum else ()

    def rule(self, p: Any, g: Any, slots: list[Any], factors: Any) -> tuple[Any, list[Any]]:
        step = g * factors
        if not self.momentum:
            return p - step, slots
        m = slots[0] * self.momentum - step
        return (p + (m * self.momentum - step) if self.nesterov else p + m), [m]


@dataclass(frozen=True, kw_only=True)
class Adam(Optimizer):
    """m ← m + (1 − β₁)·(g − m),  v ← v + (1 − β₂)·(g² − v),
    α_t = α·√(1 − β₂ᵗ)/(1 − β₁ᵗ),  θ ← θ − α_t·m/(√v + ε).

    Kingma & Ba 2015, arXiv:1412.6980, the form just before section 2.1, as in Keras, whose ε this
    is; algorithm 1 puts ε elsewhere.
    """

    learning_rate: float | Schedule = field(default=0.001, kw_only=False)
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7
    name: ClassVar[str] = "adam"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_share(self.name, "beta_1", self.beta_1)
        _check_share(self.name, "beta_2", self.beta_2)

    def slots(self) -> tuple[str, ...]:
        return ("momentum", "velocity")

    def factors(self, step: Any, dtype: np.dtype) -> Any:
        t = astype(step, dtype) + 1.0
        beta_1, beta_2 = np.asarray(self.beta_1, dtype), np.asarray(self.beta_2, dtype)
        correction = sqrt(1.0 - power(beta_2, t)) / (1.0 - power(beta_1, t))
        return self._rate(step, dtype) * correction

    def rule(self, p: Any, g: Any, slots: list[Any], factors: Any) -> tuple[Any, list[Any]]:
        m, v = slots
        m = m + (g - m) * (1 - self.beta_1)
        v = v + (g * g - v) * (1 - self.beta_2)
        return p - m * factors / (sqrt(v) + self.epsilon), [m, v]


@dataclass(frozen=True, kw_only=True)
class RMSprop(Optimizer):
    """v ← ρ·v + (1 − ρ)·g²,  d = α·g/√(v + ε);  with momentum μ: m ← μ·m + d, θ ← θ − m.

    `centered` takes the square of the mean gradient, a ← ρ·a + (1 − ρ)·g, off v.
    Hinton 2012, lecture 6e of "Neural Networks for Machine Learning"; ε inside the root as Keras.
    """

    learning_rate: float | Schedule = field(default=0.001, kw_only=False)
    rho: float = 0.9
    momentum: float = 0.0
    epsilon: float = 1e-7
    centered: bool = False
    name: ClassVar[str] = "rmsprop"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_share(self.name, "rho", self.rho)
        _check_share(self.name, "momentum", self.momentum)

    def slots(self) -> tuple[str, ...]:
        used = {"velocity": True, "momentum": self.momentum > 0, "mean": self.centered}
        return tuple(name for name, wanted in used.items() if wanted)

    def rule(self, p: Any, g: Any, slots: list[Any], factors: Any) -> tuple[Any, list[Any]]:
        old = dict(zip(self.slots(), slots, strict=True))
        new = {"velocity": old["velocity"] * self.rho + g * g * (1 - self.rho)}
        spread = new["velocity"]
        if self.centered:
            new["mean"] = old["mean"] * self.rho + g * (1 - self.rho)
            spread = spread - new["mean"] * new["mean"]
        step = g * factors / sqrt(spread + self.epsilon)
        if self.momentum:
            step = new["momentum"] = old["momentum"] * self.momentum + step
        return p - step, [new[slot] for slot in self.slots()]


OPTIMIZERS: dict[str, type[Optimizer]] = {rule.name: rule for rule in (SGD, Adam, RMSprop)}


def optimizer_from(name: str | Optimizer, **settings: Any) -> Optimizer:
    """The optimizer of that name with `settings`; an optimizer is returned as it is.

    Raises: OptionError for an unknown name or setting.
    """
    if isinstance(name, Optimizer):
        return name
    if name not in OPTIMIZERS:
        raise OptionError(f"optimizer: {name!r} is none of {', '.join(OPTIMIZERS)}.")
    try:
        return OPTIMIZERS[name](**settings)
    except TypeError as fault:
        raise OptionError(f"optimizer {name!r}: {fault}.") from None


def _check_share(optimizer: str, name: str, value: float) -> None:
    if not 0 <= value < 1:
        raise OptionError(f"{optimizer}: {name} must lie in [0, 1), not {value}.")
