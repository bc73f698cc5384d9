"""Behaviours of known size: so much time, memory, output or CPU time, and a perfect answer."""

import mmap
import os
import signal
import time


def flood(fake, size):
    chunk = b"x" * (1 << 20)
    for _ in range(int(size) >> 20 if fake.is_train else 0):
        os.write(1, chunk)
    fake.finish()


def sleep(fake, duration):
    fake.finish()
    time.sleep(float(duration))


def slow(fake, duration):
    time.sleep(float(duration))
    fake.finish()


def seeded(fake, duration):
    """Slow; what it predicts depends on the seed and the engine alone."""
    time.sleep(float(duration))
    seed = fake.job["seed"] + len(fake.job["engine"])
    fake.predictions = bytes((seed * 7 + index * index) % 10 for index in range(fake.images))
    fake.finish()


def touch(fake, megabytes):
    """Hold that much memory, every page of it used."""
    hold(int(megabytes))
    fake.finish()


def spike(fake, megabytes):
    """The same for 30 ms only."""
    memory = hold(int(megabytes))
    time.sleep(0.03)
    memory.close()
    fake.finish()


def eat(fake, megabytes):
    """Want more memory than there is, and be the first that the kernel kills for it."""
    with open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123
        file.write("1000")
    touch(fake, megabytes)


def eat_in_child(fake, megabytes):
    """The same in a child, whose end is an error of the engine's."""
    if (pid := os.fork()) == 0:
        eat(fake, megabytes)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    raise RuntimeError(f"a worker ended with status {status}")


def children(fake, sizes):
    """Children that hold memory of their own at once: children:150,150."""
    pids = []
    for size in sizes.split(","):
        pids.append(os.fork())
        if pids[-1] == 0:
            memory = hold(int(size))
            time.sleep(0.6)
            memory.close()
            os._exit(0)
    for pid in pids:
        os.waitpid(pid, 0)
    fake.finish()


def sharing(fake, text):
    """Processes that share one piece of memory: sharing:4x200."""
    count, size = map(int, text.split("x"))
    memory = hold(size, shared=True)
    pids = []
    for _ in range(count - 1):
        pids.append(os.fork())
        if pids[-1] == 0:
            sum(memory[::4096])
            time.sleep(0.6)
            os._exit(0)
    for pid in pids:
        os.waitpid(pid, 0)
    fake.finish()


def burn(fake, duration):
    burn_cpu(float(duration))
    fake.finish()


def burn_in_orphan(fake, duration):
    """Let a process that nobody of the engine waits for use the CPU."""
    read_end, write_end = os.pipe()
    if os.fork() == 0:
        if os.fork() == 0:
            burn_cpu(float(duration))
            os.write(write_end, b"x")
            os._exit(0)
        os._exit(0)
    os.read(read_end, 1)
    time.sleep(0.05)
    fake.finish()


def unpaid_child(fake, duration):
    """A child whose end is ignored is reaped by the kernel, and its CPU time is in no account."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    pid = os.fork()
    if pid == 0:
        burn_cpu(float(duration))
        time.sleep(0.2)
        os._exit(0)
    while True:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            break
        time.sleep(0.01)
    fake.finish()


def burn_cpu(duration):
    while time.process_time() < duration:
        pass


def hold(megabytes, *, shared=False):
    flags = mmap.MAP_ANONYMOUS | (mmap.MAP_SHARED if shared else mmap.MAP_PRIVATE)
    memory = mmap.mmap(-1, megabytes << 20, flags=flags)
    block = b"\1" * (1 << 20)
    for _ in range(megabytes):
        memory.write(block)
    return memory
