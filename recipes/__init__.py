"""The paper's training set-ups: one YAML file each, in a folder per task."""
