"""Why the rule ranks as it does: other measures, other probes, other rules."""
