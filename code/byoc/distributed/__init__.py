"""Training in several processes and on several hosts."""

from byoc.spinning import bound_spinning

bound_spinning()  # before torch is imported
