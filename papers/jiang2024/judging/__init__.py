"""What all pages share: records read, rules applied, intervals, what the README says."""
