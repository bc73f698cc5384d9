"""One process, measured: started by a tiny launcher, watched, and never left behind.

In: a command and limits. Out: `supervise.Measurement`: wall and CPU time, peak memory, the
timeline of memory, how it ended. Nothing here knows what the process is for.
"""
