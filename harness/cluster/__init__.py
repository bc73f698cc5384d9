"""Many machines, by Dask's `distributed` (extra `cluster`): whole blocks, each on one of them.

commander   deals blocks out and records what comes home (`deal`, `link`, `progress`, `options`)
worker      proves that it is like the others, and carries blocks out (`tasks`, `guard`, `baggage`)
site        schedulers and workers that a run starts itself: local:N, a SLURM queue

In: a plan, an address. Out: records in the run's folder, each with its machine. Both sides speak
the messages of `messages`, as JSON; no function, class or command line comes over the network.
"""
