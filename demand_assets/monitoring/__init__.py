"""What a published forecast turned out to be worth: drift, realised accuracy, rules of retraining. Pure."""
