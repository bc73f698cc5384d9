"""Every exception that myad raises on purpose; all of them are `MyadError`."""


class MyadError(Exception):
    """Base of all errors of this package."""


class ShapeError(MyadError, ValueError):
    """Shapes (or axes, or indices) that do not fit the operation."""


class BoundsError(ShapeError, IndexError):
    """An index beyond the end of an axis."""


class DTypeError(MyadError, TypeError):
    """Element types that do not fit the operation, or that differ where they must be one."""


class TreeError(MyadError, TypeError):
    """Arguments nested otherwise than they must be; the message shows both structures."""


class OptionError(MyadError, ValueError):
    """An option or name outside what is allowed; the message lists what is."""


class DataError(MyadError, ValueError):
    """Data that cannot be trained on: labels out of range, unequal lengths, nothing at all."""


class GraphError(MyadError, RuntimeError):
    """A derivative was asked of a record that does not hold it."""


class TraceError(MyadError, TypeError):
    """The numbers of a tensor were asked for where only its shape is known."""


class GradientMismatch(MyadError, AssertionError):
    """A gradient rule and finite differences disagree."""


class NotFiniteError(MyadError, ArithmeticError):
    """The loss became NaN or infinite during training."""


class WeightsError(MyadError, ValueError):
    """Weights of another model: a missing or unknown name, or a wrong shape."""


class ThreadError(MyadError, RuntimeError):
    """An object that one thread may use at a time is used by two."""


class CompileError(MyadError, ValueError):
    """Something that cannot be compiled; the message names it and says what to do."""
