"""The `torchprimer` command."""
