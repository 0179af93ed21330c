"""Full sharding: parameters, gradients and optimiser state divided over the processes of a training."""
