"""The commands that import your own data."""

from pathlib import Path
from typing import Annotated

import typer

PANEL = "Your own data"

app = typer.Typer()


@app.command(
    rich_help_panel=PANEL,
    epilog="Examples:\n\n  torchprimer add-photos ~/Downloads/train.zip\n  torchprimer add-photos ~/flowers --name flowers",
)
def add_photos(
    path: Annotated[
        Path, typer.Argument(metavar="ZIP_OR_FOLDER", help="Files named CLASS.NUMBER.jpg, or a folder per class.")
    ],
    name: Annotated[str, typer.Option(help="Name of the data under data/raw.")] = "photos",
) -> None:
    """Import your own photos from a zip file or a folder."""
    from torchprimer.sources.user_images import add_photos

    add_photos(path, name)


@app.command(
    rich_help_panel=PANEL,
    epilog="Examples:\n\n  torchprimer add-data ~/wine.csv --name wine\n"
    "  torchprimer add-data ~/mails/spam.txt ~/mails/ham.txt --name mails",
)
def add_data(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="One CSV, or a text file for each class.")],
    name: Annotated[str, typer.Option(help="Name of the data under data/raw.")],
) -> None:
    """Import your own table or texts."""
    from torchprimer.sources.user_data import add_data

    add_data(files, name)
