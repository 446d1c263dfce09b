"""The derived file: figures and the search index in a file of SQLite, made from the main database by the follower, and made again if it is lost."""
