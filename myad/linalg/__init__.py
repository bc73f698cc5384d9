"""Linear algebra under NumPy's names: `myad.linalg.solve`, and `np.linalg.solve` of tensors.

In: stacks of matrices (…, M, N), floating-point. Out: the same with derivatives of any order, in
both modes. `eigh` and `svd` are eager only: how often their sweeps run, the data decides.
"""

from __future__ import annotations

import numpy as np

from myad.linalg.norms import norm
from myad.linalg.spectra import eigh, svd
from myad.linalg.systems import cholesky, det, inv, slogdet, solve
from myad.ops import protocols

__all__ = ["cholesky", "det", "eigh", "inv", "norm", "slogdet", "solve", "svd"]

protocols.know({getattr(np.linalg, name): (name, globals()[name]) for name in __all__})
