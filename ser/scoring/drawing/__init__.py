"""Pictures as SVG, inline in the report and as files."""
