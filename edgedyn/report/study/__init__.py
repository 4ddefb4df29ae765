"""A study's page."""
