"""A line graph's page."""
