"""Publishing an index elsewhere: a directory, a computer behind SSH, an rsync daemon, whatever a command reaches."""
