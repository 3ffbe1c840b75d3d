"""The rollout at a moment in the past, from what the store keeps."""
