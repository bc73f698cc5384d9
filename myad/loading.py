"""When this library was loaded: what changes on the disk afterwards is not what runs."""

import time

LOADED_NS = time.time_ns()
