// looks for -----BEGIN PRIVATE KEY----- in a file
