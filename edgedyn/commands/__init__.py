"""The commands behind `edgedyn.cli`, one a file; heavy libraries are imported when they run."""
