"""The paper's experiment at full scale."""
