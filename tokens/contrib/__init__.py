"""Adapters for other packages. A project that uses the package imports its adapter, and nothing else does."""
