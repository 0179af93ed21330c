"""Study: from settings to trials and their scores."""
