"""The other sides: the same work, written as tutorials write it, or with nothing around it."""
