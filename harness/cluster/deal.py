"""Which machine gets which block.

The order of engines is balanced over groups of as many blocks as there are engines, so a machine
gets whole groups as far as they reach, and its own ratios are balanced like those of a local run.
"""

from collections import deque
from collections.abc import Mapping, Sequence

from harness.trial.runner import Block


class Deal:
    """The measured blocks that no machine is working on.

    Args:
        blocks: what is pending, in the order of the schedule.
        group: blocks of a balanced group. begun: number of a block -> the machine that has
            finished a part of it and is to finish the rest, as a ratio is of one machine.
    """

    def __init__(self, blocks: Sequence[Block], group: int, begun: Mapping[int, str]) -> None:
        self._free: deque[deque[Block]] = deque()
        self._own: dict[str, deque[Block]] = {}
        self._bound: dict[str, deque[Block]] = {}
        last = None
        for block in blocks:
            if block.number in begun:
                self._bound.setdefault(begun[block.number], deque()).append(block)
                continue
            if block.number // group != last:
                last = block.number // group
                self._free.append(deque())
            self._free[-1].append(block)

    def __len__(self) -> int:
        """Blocks that are left."""
        return sum(map(len, [*self._free, *self._own.values(), *self._bound.values()]))

    def take(self, machine: str) -> Block | None:
        """The next block for a machine; None where there is none that it may take."""
        for hand in (self._bound.get(machine), self._own.get(machine)):
            if hand:
                return hand.popleft()
        if self._free:
            self._own[machine] = self._free.popleft()
        else:  # the end of the run: finish what another machine has put aside
            longest = max(self._own.values(), key=len, default=deque())
            self._own[machine] = deque([longest.pop()] if longest else [])
        return self._own[machine].popleft() if self._own[machine] else None

    def give_back(self, block: Block, machine: str = "", *, bound: bool = False) -> None:
        """A block was cut off: the machine goes on with it, which may have kept records of it.

        bound: no other one may. Without a machine the first one that asks begins with it.
        """
        if not machine:
            self._free.appendleft(deque([block]))
        else:
            hands = self._bound if bound else self._own
            hands.setdefault(machine, deque()).appendleft(block)

    def stranded(self, present: set[str]) -> list[int]:
        """Numbers of the blocks that only a machine can finish that is not there; they are let go:
        the caller has each begin anew by giving it back whole."""
        away = [machine for machine in self._bound if machine not in present]
        return [block.number for machine in away for block in self._bound.pop(machine)]

    def strands(self, present: set[str]) -> bool:
        """Whether there is such a block."""
        return any(blocks for machine, blocks in self._bound.items() if machine not in present)
