"""What can be done with an account. The API and the pages call only these functions.

`registration`, `emails` (confirmation and change of the address), `passwords`, `deletion`, and the `alarm`. For
anonymous users they always do the same: the same statements, one password hash, and a mail in the background, whether
there is an account or not. Each change, its event and the end of its sessions are one transaction. The mail is sent
after it. Call them outside of a transaction.
"""
