"""Runs other packages' own test suites with our middleware and backend. These are scripts, and pytest collects none."""
