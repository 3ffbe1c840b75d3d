"""Whole rollouts on a virtual clock: the real engine, simulated servers, people, disk and crashes; a seed decides everything."""
