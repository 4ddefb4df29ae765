"""Networks: pre-trained backbones and their weights, the probe, small ones, cells."""
