"""What the records of a run say, as data: no files, no text for people but sentences.

In: a run that has been read (`records`). Out: `analysis.Analysis`: summaries, ratios, differences
of accuracy, agreement, warnings, conclusions; `two_runs` and `gate` for a pair of runs. `metrics`
is the one table of what is measured. Whoever renders it lives in `report`.
"""
