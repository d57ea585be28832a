"""What can be done with the factors of a user. The API, the pages and the classes in FACTORS call only these functions.

Each change and its event are one transaction, in which the user and their sessions are locked first, and rows of this
app last. What answers a factor locks only its own row.
"""
