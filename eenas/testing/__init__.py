"""Testing: contract tests that authors of plug-ins run."""
