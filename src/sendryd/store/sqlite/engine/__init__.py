"""The SQLite engine: one writer, many readers, contents in files, migrations. It depends on no aggregate."""
