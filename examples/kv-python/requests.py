"""The clients' requests that wait for an answer.

A write waits until the log entry with its serial is applied here. A read waits for two things: a
leader's word on which index it must have seen, and that this index is applied. Reads that arrive
while the leader is being asked share the next question, so that a thousand readers cost one round
of heartbeats, not a thousand.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from node import Node

ASK_AGAIN_TICKS = 3


class Refused(Exception):
    """A request that does not succeed: its status, why, and headers that say more."""

    def __init__(self, status: int, why: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(why)
        self.status = status
        self.headers = headers or {}


def not_now(why: str, outcome: str = "") -> Refused:
    """With the outcome of what would have changed something: refused, or unknown."""
    return Refused(503, why, {"Raft-Outcome": outcome} if outcome else {})


def unknown(why: str) -> Refused:
    return not_now(f"outcome unknown: {why}", "unknown")


@dataclass(slots=True)
class WaitingWrite:
    """A write, or a change of members, that waits for its entry."""

    answer: asyncio.Future[int]
    term: int  # in which it was proposed
    entry: bytes  # of a write that may be proposed again; else nothing


@dataclass(slots=True, eq=False)
class WaitingRead:
    """A read that waits for the question which covers it, and then for an index."""

    answer: asyncio.Future[None]
    question: int
    index: int | None = None


class Requests:
    """All that wait, in order of arrival."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.writes: dict[int, WaitingWrite] = {}
        self.reads: deque[WaitingRead] = deque()
        # Numbers that no earlier life of this node has used: see PROTOCOL.md. Questions are
        # compared by size, so theirs must not wrap.
        chance = random.SystemRandom()
        self.serial = chance.getrandbits(64)
        self.next_question = chance.getrandbits(63)
        self.asked = 0  # the last question asked
        self.asking = False  # it has no answer yet
        self.asked_ticks_ago = 0

    def full(self) -> bool:
        return len(self.writes) + len(self.reads) >= self.node.options.max_pending

    def next_serial(self) -> int:
        self.serial = (self.serial + 1) % 2**64
        return self.serial

    # Writes.

    async def await_write(self, serial: int, entry: bytes = b"") -> int:
        """Wait until the entry with this serial is applied here; its index.

        If it may be proposed again, because a request id keeps it from being applied twice, the
        entry is given too.
        """
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.writes[serial] = WaitingWrite(answer, self.node.term, entry)
        patience = self.node.options.timeout_ms
        try:
            async with asyncio.timeout(patience / 1000):
                return await answer
        except TimeoutError as error:
            trouble = self.node.trouble()
            why = f"not applied within {patience} ms"
            raise unknown(f"{why}: {trouble}" if trouble else why) from error
        finally:
            self.writes.pop(serial, None)

    def write_applied(self, serial: int, index: int) -> None:
        write = self.writes.pop(serial, None)
        if write is not None and not write.answer.done():
            write.answer.set_result(index)

    def new_leader(self) -> None:
        """What was passed on to the last leader may be lost: propose again what may be."""
        for write in self.writes.values():
            if write.entry and self.node.forward(write.entry):
                write.term = self.node.term

    def term_applied(self, term: int) -> None:
        """An entry of this term is applied. What was proposed in earlier terms and survived stood
        before it, so nobody needs to wait for the rest."""
        for write in self.writes.values():
            if write.term < term and not write.answer.done():
                why = "the leader changed, the write may be lost with the old one"
                write.answer.set_exception(unknown(why))

    # Reads.

    def ask(self) -> None:
        """A question may get lost with a leader, so the next one is asked after a while; its answer
        serves all that came before."""
        self.asked = self.next_question
        self.next_question += 1
        self.asked_ticks_ago = 0
        self.asking = True
        self.node.read_index(self.asked.to_bytes(8, "big"))

    async def await_read(self) -> None:
        """Wait until it is known which index a read must have seen, and that index is applied."""
        read = WaitingRead(asyncio.get_running_loop().create_future(), self.next_question)
        self.reads.append(read)
        if not self.asking:
            self.ask()
        patience = self.node.options.timeout_ms
        try:
            async with asyncio.timeout(patience / 1000):
                await read.answer
        except TimeoutError as error:
            self.reads.remove(read)
            raise not_now(f"no leader confirmed the read within {patience} ms") from error

    def read_confirmed(self, context: bytes, index: int) -> None:
        question = int.from_bytes(context, "big")
        if question > self.asked:
            # Not asked yet: an answer that an earlier life of this node waited for.
            return
        for read in self.reads:
            if read.index is None and read.question <= question:
                read.index = index
        if question == self.asked:
            self.asking = False
        if not self.asking and any(read.index is None for read in self.reads):
            self.ask()

    def applied(self, index: int) -> None:
        """Everything up to this index is applied and durable."""
        while self.reads and (seen := self.reads[0].index) is not None and seen <= index:
            answer = self.reads.popleft().answer
            if not answer.done():
                answer.set_result(None)

    # Time.

    def tick(self) -> None:
        self.asked_ticks_ago += 1
        if self.asking and self.asked_ticks_ago >= ASK_AGAIN_TICKS:
            self.asking = False
            if any(read.index is None for read in self.reads):
                self.ask()

    def answer_all(self, why: str) -> None:
        """The process stops."""
        for write in self.writes.values():
            if not write.answer.done():
                write.answer.set_exception(unknown(why))
        while self.reads:
            answer = self.reads.popleft().answer
            if not answer.done():
                answer.set_exception(not_now(why))
