"""What the API's calls take and return: enumerations, vectors, properties, options."""
