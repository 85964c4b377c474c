"""The gateway: durable state, authentication, quota and the order of steps. It sees no secret in the clear."""
