"""Follow-ups: promises with a due time; and comments, what people say to each other about a thing."""
