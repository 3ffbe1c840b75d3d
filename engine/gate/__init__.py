"""What must be met to leave a stage: conditions, checklist, stability, approvals."""
