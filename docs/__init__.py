"""The documentation, and the program that makes the tables of its reference (`docs.generate`)."""
