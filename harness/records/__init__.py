"""A run on disk: the models of its manifest and records, reading and appending them, finding runs.

Every number in a report comes from here; nothing in this room computes statistics.
"""
