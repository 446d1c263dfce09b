"""The derived file of SQLite: figures and the search index, made from the main file by the follower, and made again if it is lost."""
