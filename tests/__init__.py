"""The tests mirror `src`; each docstring is the promise that its test keeps."""
