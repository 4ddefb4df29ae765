"""The close zoo: real ImageNet backbones that train to convergence."""
