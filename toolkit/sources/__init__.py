"""Where order data comes from: databases, folders of files, and a generator."""
