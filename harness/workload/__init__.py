"""Workloads.

Model, data and training settings as data (`format`), presets, shapes, starting values.

What an engine could read differently is worked out here, once: output shapes, starting weights,
orders, the learning rate of every step (`rates`).
"""
