"""What can be done with an account. The API and the pages call only these functions.

- `registration`, `deletion`: an account begins, and ends.
- `emails`: the address is confirmed, and changed. `passwords`: the password is changed, and reset.
- `pending_changes`: a change that waits until the link in a mail is used.
- `alarm`: a user says by a link that it was not them. `strongest`: the strongest factor is asked for before a change.
- `purging`: deletes rows in batches.

For anonymous users they always do the same: the same statements, one password hash, and a mail in the background,
whether there is an account or not. Each change, its event and the end of its sessions are one transaction. The mail is
sent after it. Call them outside of a transaction.
"""
