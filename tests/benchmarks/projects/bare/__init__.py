"""The floor: views with no authentication at all, behind the middleware of all the others."""
