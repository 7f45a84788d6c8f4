"""The target's compiler, headers, static libraries and answers, kept in the cache and shared by all builds."""
