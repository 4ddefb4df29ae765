"""The regime map: thousands of perceptron runs."""
