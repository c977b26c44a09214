"""What a run asks of every picture: a file for each verb, with its options and the columns that it fills."""
