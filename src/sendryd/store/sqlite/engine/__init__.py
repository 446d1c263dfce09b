"""The SQLite engine: one writer, many readers, contents in files, migrations. It knows no aggregate."""
