"""From numbers to pages, tables, sentences and pictures."""
