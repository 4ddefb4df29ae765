"""Pictures of the README, and the line graphs of the 17 networks."""
