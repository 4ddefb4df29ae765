"""Training that resumes: fine-tuning, what a trial does, what it would take."""
