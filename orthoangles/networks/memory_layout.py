"""How a network and its inputs lie in memory: channels last, which convolutions on processors and tensor cores like."""

import torch
from torch import nn


def memory_layout(network: nn.Module) -> torch.memory_format:
    """``channels_last``, or ``channels_last_3d`` for a network with convolutions in space."""
    in_space = any(isinstance(module, nn.Conv3d) for module in network.modules())
    return torch.channels_last_3d if in_space else torch.channels_last
