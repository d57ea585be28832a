"""Exhaustive breadth-first searches: a session that lacks a factor, from any time on, until its user proves one.

REQUIRED_FACTORS can begin to ask for a factor at any time: it is switched on, a user becomes staff, or a device is not
trusted any more. It can also end at any time without a factor. In between, a refresh token is answered as that of an
idle session. So the difference to `tests.tokens.protocol.idle_search` is the time: also within the still time and the
grace, with responses and parallel requests under way.

`honest` searches for a history in which a person who has no thief is signed out, or cannot go on with a factor.
`stolen` searches for a history in which a thief profits. The rules are those of `idle_search`.

In `stolen` a factor of the owner within the still time is left out, as in `reauthentication_search`: nothing rotates
then.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from tests.tokens.protocol import search
from tests.tokens.protocol.idle_search import IdleSessions, Rule, Thief, steps
from tests.tokens.protocol.in_turns import World, broken_by
from tests.tokens.protocol.search import Message, Refresh, Scale, Successor
from tokens.protocol.rotation import Decision


class LackingSessions(IdleSessions):
    """The world of an honest person whose session lacks a factor while ``row.idle`` is set, however old it is."""

    def __init__(self, scale: Scale, rule: Rule) -> None:
        super().__init__(scale, rule)
        self.oldest = self.still

    def _is_idle(self, world: search.World) -> bool:
        return world.row.idle

    def _steps(self, world: search.World) -> Iterator[Successor]:
        yield from super()._steps(world)
        step = "the factor is not required any more" if world.row.idle else "a factor is required"
        yield step, world._replace(row=replace(world.row, idle=not world.row.idle))

    def _decide(self, world: search.World, presented: int, message: Message) -> Decision:
        return super()._decide(_with_factor(world), presented, message)

    def _arrived(self, rest: search.World, message: Message) -> Iterator[Successor]:
        for step, after in super()._arrived(rest, message):
            # Whatever a factor was answered with, the session has it then. Without one it lacks it as before.
            is_proved = step.startswith(("idle, with a factor", "not idle, with a factor")) or " and a factor " in step
            yield step, _with_factor(after) if after is not None and is_proved else after

    def _presented(self, rest: search.World, message: Message, release: Any, held: Refresh) -> Successor:
        if not rest.row.idle:
            return super()._presented(rest, message, release, held)
        step, after = super()._presented(rest, message, release, held)
        # With `Rule.TOKEN_ALONE` a rotation would otherwise stand for a factor.
        is_rotated = after is not None and after.row.generation != rest.row.generation
        return step, after._replace(row=replace(after.row, idle=True)) if after is not None and is_rotated else after

    def key(self, world: search.World) -> bytes:
        flags = [world.row.idle, *(row.idle for _, row in world.commits)]
        return super().key(world) + bytes(flags)


def _with_factor(world: search.World) -> search.World:
    return world._replace(row=replace(world.row, idle=False))


def honest(rule: Rule, worlds: int, messages: int = 2) -> search.Result:
    """Search for a history that signs out a person who has no thief, or keeps them from going on with a factor."""
    scale = Scale(messages=messages)
    return search.search(scale, worlds, LackingSessions(scale, rule))


def stolen(rule: Rule, thief: Thief = Thief.TOKEN) -> tuple[int, list[str] | None, str]:
    """Search for a history that breaks a promise. Return the number of worlds, the history, and the promise."""
    return broken_by(World(), lambda world: steps(world, rule, thief))
