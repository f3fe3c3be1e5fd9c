"""Commands beside training: doctor, new-task, accept, plot."""
