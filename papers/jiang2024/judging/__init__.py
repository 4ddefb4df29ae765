"""What all pages share: records read, rules applied, intervals, what README and site say."""
