"""The paper's tables and figures on the first zoo."""
