"""This project, with its own settings but for what all peers share."""
