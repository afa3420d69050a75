# one line a test
