"""When a rule acts: pure judgement of evidence, with timers."""
