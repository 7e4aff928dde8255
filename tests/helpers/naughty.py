"""Names that break programs: of classes, of files, of arms."""

FORMULAS = ("=1+1", "\n=1+1", '=HYPERLINK("x")', "+1+1", "-1+1", "@SUM(1)", "\tx", "'=1", "''-x")
TEXTS = (
    *FORMULAS, "-rf", "--help", "a b", " lead", "trail ", "a\nb", "a\rb", "a\r\nb", 'a"b', "a,b",
    "a;b", "a'b", "`id`", "$(id)", "${HOME}", "%00", "%s%n", "{{7*7}}", "a\\b", "null", "true",
    "NaN", "1e309", "-1", "<b>", "<script>alert(1)</script>", "&lt;", "\u202egnp.exe", "e\u0301",
    "\u00e9", "\u732b", "\U0001f600" * 60, "\u200b", "\u2028", "\x7f", "\x1b[31m", "x" * 250,
    "CON", "~", "*", "?", "|", ":", "#", "!",
)  # fmt: skip
