"""The page to play with: the exported models, and what they make of what one draws, drops, types or moves.

A file per tab; the models answer through their Predictors alone, so nothing here needs PyTorch. The page asks for
nothing that is not on this machine.
"""

import os
import socket
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from torchprimer import params
from torchprimer.demo.models import Exports
from torchprimer.errors import UserError

if TYPE_CHECKING:
    import gradio as gr

HOST = "127.0.0.1"


def serve(port: int) -> None:
    """Serves the page on 127.0.0.1 until Ctrl-C.

    Raises:
        UserError: nothing is exported, the port is taken, or Gradio is not installed.
    """
    exports = Exports(params.load())
    if not exports.names:
        raise UserError("no exported model in models/: `dvc repro` makes all of them, `dvc repro export@mnist_cnn` one")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # what has just ended is no obstacle
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise UserError(
                f"port {port} cannot be used ({error.strerror}): take another one, --port {port + 1}"
            ) from None
    with tempfile.TemporaryDirectory() as uploads:
        os.environ |= {
            "GRADIO_ANALYTICS_ENABLED": "False",
            "HF_HUB_OFFLINE": "1",
            "GRADIO_TEMP_DIR": uploads,
            "NO_PROXY": HOST,  # Gradio asks itself once whether it is there
        }
        try:
            import gradio as gr
        except ModuleNotFoundError:
            raise UserError("Gradio is not installed: make demo installs it, or pip install -e '.[demo]'") from None
        page = build(exports)
        page.launch(
            server_name=HOST, server_port=port, share=False, quiet=True, prevent_thread_lock=True, ssr_mode=False,
            theme=gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]),
            css_paths=Path(__file__).with_name("page.css"), footer_links=[], max_file_size="50mb",
        )  # fmt: skip
        print(f"The page to play with: http://{HOST}:{port}   (Ctrl-C ends it)", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print()
        finally:
            page.close(verbose=False)


def build(exports: Exports) -> "gr.Blocks":
    """The page with its tabs, not yet served."""
    import gradio as gr

    from torchprimer.demo import bikes, digits, generators, photos, reviews

    page = gr.Blocks(title="torchprimer", analytics_enabled=False)
    with page:
        gr.Markdown("# torchprimer\nThe trained models of this project, to play with.")
        for tab in (digits, photos, reviews, bikes, generators):
            with gr.Tab(tab.TITLE) as selected:
                names = [name for name in exports.names if tab.wanted(exports.known[name])]
                missing = [name for name in exports.missing if tab.wanted(exports.known[name])]
                if names:
                    tab.build(exports, names, selected)
                if missing:
                    gr.Markdown(how_to_export(missing, some=bool(names)))
    return page


def how_to_export(missing: Sequence[str], *, some: bool) -> str:
    """Markdown: which models a tab lacks, and the commands that make them."""
    command = f"dvc repro {' '.join(f'export@{name}' for name in missing)}"
    what = "Not exported, and so not here" if some else "No model of this tab is exported yet"
    return f"{what}: {', '.join(missing)}. This makes them:\n```\n{command}\n```"
