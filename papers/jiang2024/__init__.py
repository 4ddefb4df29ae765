"""Jiang et al. (2024), Network properties determine neural network performance."""
