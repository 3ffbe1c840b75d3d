"""The engine at run time: the control loop, the monitor, rollback and its proof."""
