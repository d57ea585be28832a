"""An exhaustive breadth-first search for a history in which forgetting a device signs an honest person out.

The search covers one browser with a few messages under way, in every order and with every loss, while the same person
has the browser's device forgotten from elsewhere, which also ends its sessions. A response that rejects an ended
session deletes the browser's cookies, unless a session is live on the browser's device (`has_live_session`). It must
not do so after the person has signed in again, because it may arrive after the response to that sign-in.

The browser begins signed in. A message is under way during at most one forgetting, and sessions are ended by nothing
else.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from tests.tokens.protocol.in_turns import Result, breadth_first

SIGN_IN, ASK, SET, CLEAR = range(4)
"""The kinds of messages: two requests, and two responses."""
NONE = -1
"""No device, or no session."""


class Device(NamedTuple):
    forgotten: bool = False
    replaced_by: int = NONE


class Session(NamedTuple):
    device: int
    live: bool = True


class Message(NamedTuple):
    """``device`` and ``session``: the cookies that it carries or sets. ``forgettings``: how many it has outlived."""

    kind: int
    device: int = NONE
    session: int = NONE
    forgettings: int = 0


class World(NamedTuple):
    """``device`` and ``session`` are the cookies of the browser. Devices and sessions are known by their place.

    ``broken``: whether an honest person may be signed out.
    """

    device: int = NONE
    session: int = NONE
    devices: tuple[Device, ...] = ()
    sessions: tuple[Session, ...] = ()
    messages: tuple[Message, ...] = ()
    broken: bool = False


Rule = Callable[[World, int], list[int]]
"""Returns the devices on which a live session keeps the cookies, given the device cookie of a request."""


def its_own(world: World, device: int) -> list[int]:
    """Only the device of the cookie. This was enough before devices could be forgotten."""
    return [device]


def its_successor(world: World, device: int) -> list[int]:
    """The device of the cookie, and the one that has replaced it."""
    return [device, world.devices[device].replaced_by]


def all_successors(world: World, device: int) -> list[int]:
    """The same, and those that have replaced these: `tokens.service.devices.here`."""
    found: list[int] = []
    while device != NONE:
        found.append(device)
        device = world.devices[device].replaced_by
    return found


MESSAGES, SESSIONS = 3, 4
"""How many messages are under way at once, and how many sessions there are in all."""


def successors(world: World, rule: Rule) -> Iterator[tuple[str, World]]:
    """Yield what can happen next, and the world after it."""
    if len(world.messages) < MESSAGES:
        if len(world.sessions) < SESSIONS:
            yield "send a sign-in", _sent(world, Message(SIGN_IN, world.device))
        if world.session != NONE:
            yield "send a request", _sent(world, Message(ASK, world.device, world.session))
    if any(session.live for session in world.sessions):
        left = tuple(
            message._replace(forgettings=message.forgettings + 1)
            for message in world.messages
            if message.forgettings == 0
        )
        yield (
            "forget the device from elsewhere",
            world._replace(
                devices=tuple(device._replace(forgotten=True) for device in world.devices),
                sessions=tuple(session._replace(live=False) for session in world.sessions),
                messages=left,
            ),
        )
    for place, message in enumerate(world.messages):
        if message in world.messages[:place]:
            continue  # It makes no difference which of two equal messages is next.
        rest = world._replace(messages=world.messages[:place] + world.messages[place + 1 :])
        yield "lose a message", rest
        if message.kind == SIGN_IN:
            yield "sign in", _signed_in(rest, message)
        elif message.kind == ASK:
            yield "answer a request", _asked(rest, message, rule)
        elif message.kind == SET:
            device = rest.device if message.device == NONE else message.device
            yield "set cookies", rest._replace(device=device, session=message.session)
        else:
            yield "delete cookies", rest._replace(session=NONE)


def _sent(world: World, message: Message) -> World:
    return world._replace(messages=(*world.messages, message))


def _signed_in(rest: World, message: Message) -> World:
    """Open a session as `tokens.service.devices.recognise` does: a forgotten device is recorded as a new one."""
    devices, device, new = rest.devices, message.device, NONE
    if device == NONE or devices[device].forgotten:
        device = new = len(devices)
        devices = (*devices, Device())
        if message.device != NONE:
            last = all_successors(rest, message.device)[-1]
            devices = (*devices[:last], devices[last]._replace(replaced_by=new), *devices[last + 1 :])
    sessions = (*rest.sessions, Session(device))
    return _sent(
        rest._replace(devices=devices, sessions=sessions), Message(SET, new, len(sessions) - 1, message.forgettings)
    )


def _asked(rest: World, message: Message, rule: Rule) -> World:
    if rest.sessions[message.session].live:
        return rest
    here = rule(rest, message.device)
    if any(session.live and session.device in here for session in rest.sessions):
        return rest
    if any(session.live for session in rest.sessions):
        return rest._replace(broken=True)
    return _sent(rest, Message(CLEAR, forgettings=message.forgettings))


def search(rule: Rule) -> Result:
    """Examine all reachable worlds, nearest first, until an honest person may be signed out."""

    def following(world: World) -> Iterator[tuple[str, World]]:
        for step, after in successors(world, rule):
            yield step, after._replace(messages=tuple(sorted(after.messages)))

    return breadth_first([World(0, 0, (Device(),), (Session(0),))], following, lambda world: world.broken)
