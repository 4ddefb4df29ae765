"""The first zoo: networks, weights and data of 21 candidates, and their studies."""
