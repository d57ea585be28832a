"""The user of the simulated session: their password hash, the rows of `Rehash`, and processes that read the notes.

A sign-in elsewhere may replace the hash by another one of the same password, in several transactions. The owner changes
the password in one. Each change is noted, and two processes read the note later, and decide from the rows as they are.
"""

from random import Random

from tests.tokens.protocol.model import Answer, Decide, Server, World
from tests.tokens.protocol.password_search import Hash, same_password
from tokens.protocol.rotation import BEGINS_GENERATION, Decision

PROCESSES = 2
READ_WITHIN = 60.0
"""Each process reads a note with at most this delay. It is far longer than the lag of the feed."""
SIGNED_IN_WITHIN = 10.0
"""The longest time between two transactions of a sign-in, and between those of a process."""


class Account:
    """The user's row, and the digest that the session holds, as a hash.

    ``log``: (when, digest) of the commits that a fail-over may lose. Only the first one has waited for the standby.
    """

    def __init__(self, random: Random) -> None:
        self.random = random
        self.stored = Hash(0, 0)
        self.hashes = 0
        self.rehashes: frozenset[tuple[Hash, Hash]] = frozenset()
        self.log = [(0.0, self.stored)]
        self.changed = 0

    @property
    def is_valid(self) -> bool:
        """Return whether the session holds a digest of the user's password: `auth_hash.renewed_digest`."""
        return same_password(self.log[-1][1], self.stored, self.rehashes)

    def sign_in_elsewhere(self, world: World) -> None:
        """Verify the password against the hash that is stored now, and replace that by another hash."""
        self.hashes += 1
        rehash = self.stored, Hash(self.stored.password, self.hashes)
        world.later(SIGNED_IN_WITHIN * self.random.random(), self.announce, world, *rehash)

    def announce(self, world: World, verified: Hash, new: Hash) -> None:
        """Announce the rehash: `tokens.web.receivers.announce_rehash`."""
        if self.stored == verified:
            self.note_rehash(verified, new)
            world.later(SIGNED_IN_WITHIN * self.random.random(), self.write, world, verified, new)

    def note_rehash(self, old: Hash, new: Hash) -> None:
        """Write the row: `tokens.service.auth_hash.announce_rehash`."""
        self.rehashes |= {(old, new)}

    def write(self, world: World, verified: Hash, new: Hash) -> None:
        """Replace the hash, if it is still the one that was verified."""
        if self.stored == verified:
            self.stored = new
            self.note(world)

    def change_password(self, world: World, there: float) -> None:
        """Send a request that changes the password. Its response changes no cookie."""
        world.later(there, self._changed, world)

    def note(self, world: World) -> None:
        """Do what the trigger does. Each process reads the note some time later."""
        for _ in range(PROCESSES):
            world.later(READ_WITHIN * self.random.random(), self.read, world)

    def read(self, world: World) -> None:
        """Look without a lock whether the session is outdated: `tokens.service.user_changes.end_outdated`."""
        if not self.is_valid:
            world.later(SIGNED_IN_WITHIN * self.random.random(), self.decide, world)

    def decide(self, world: World) -> None:
        """Decide under the lock whether the session ends."""
        if not self.is_valid:
            world.signed_out = True

    def renew(self, now: float, *, durable: bool) -> None:
        """Write the digest of the user's hash to the session."""
        if durable:
            self.log.clear()
        self.log.append((now, self.stored))

    def fail_over(self, now: float, lost: float) -> None:
        """Lose the last digests. Every other commit waits for disk and standby."""
        while len(self.log) > 1 and self.log[-1][0] > now - lost:
            self.log.pop()
        self.log = [(now, self.log[-1][1])]

    def _changed(self, world: World) -> None:
        """Change the password and the session's digest in one transaction, as `sessions.change_account` does."""
        if not self.is_valid:
            world.signed_out = True
            return
        self.changed += 1
        self.stored = Hash(self.changed, 0)
        self.renew(world.now, durable=True)
        world.server.log = world.server.log[-1:]  # The commit waits, and so for all commits before it.
        self.note(world)


class ServerOfAccount(Server):
    """A server that refuses to refresh a session whose digest does not belong to the user's password."""

    __slots__ = ("account",)

    def __init__(self, account: Account, decide: Decide) -> None:
        super().__init__(decide)
        self.account = account

    def answer(self, presented: int, now: float) -> tuple[Decision, Answer]:
        """Answer as `Server.answer` does. A new password ends the session like a reuse."""
        if not self.account.is_valid:
            return Decision.REUSE, Answer(None, None)
        decision, answer = super().answer(presented, now)
        if decision in BEGINS_GENERATION or decision is Decision.RECOVER:
            self.account.renew(now, durable=decision is Decision.RECOVER)
        return decision, answer

    def fail_over(self, now: float, lost: float) -> None:
        """Forget the last commits, of the digest too."""
        super().fail_over(now, lost)
        self.account.fail_over(now, lost)
