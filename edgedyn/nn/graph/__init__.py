"""A Keras model as a graph of steps; its degrees by closed form, sweeps and differentiation."""
