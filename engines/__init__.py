"""Engines: programs that train and test a workload's CNN, one file each; see docs/engines.md."""
