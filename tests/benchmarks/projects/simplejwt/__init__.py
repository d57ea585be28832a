"""djangorestframework-simplejwt, whose refresh tokens are rotated, the old ones blacklisted."""
