"""The reference: the workload's CNN in Keras, as engines."""
