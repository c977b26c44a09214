"""From a network, pictures and a target to maps: preparing, passes, perturbation, scales."""
