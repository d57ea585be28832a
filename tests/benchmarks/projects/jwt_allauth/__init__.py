"""django-jwt-allauth, as its ``startproject`` sets it up, on Django's user model."""
