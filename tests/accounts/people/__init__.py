"""A project of somebody else: an app with user models, of which the environment variable ``USER_MODEL`` names one."""
