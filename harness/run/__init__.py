"""`bench run` itself.

Options, schedule, manifest, the loop over trials, accuracies after the blocks, sweeps.

Nothing here loads pandas, SciPy or seaborn: a run starts quickly and leaves the machine to the
engines.
"""
