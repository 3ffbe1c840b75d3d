"""The state machine of the rollout: pure functions from a state and a request to a decision."""
