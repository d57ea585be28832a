"""A later version of the project, as far as its migrations go."""
