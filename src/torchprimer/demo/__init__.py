"""`torchprimer demo`: a local web page to try the exported models on drawings, photos, texts and tables.

One module per tab. The models run through their Predictors only, so nothing here needs PyTorch. The page makes no
request to other machines.
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
    """Serves the page until Ctrl-C; UserError: nothing is exported, the port is in use, or no Gradio."""
    exports = Exports(params.load())
    if not exports.descriptions:
        commands = "`dvc repro` exports all, `dvc repro export@mnist_cnn` only this one"
        raise UserError(f"no exported model in models/: {commands}")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # ignores connections that are still closing
        try:
            probe.bind((HOST, port))
        except OSError as error:
            message = f"port {port} cannot be used ({error.strerror}): choose another one, --port {port + 1}"
            raise UserError(message) from None
    with tempfile.TemporaryDirectory() as uploads:
        os.environ |= {
            "GRADIO_ANALYTICS_ENABLED": "False",
            "HF_HUB_OFFLINE": "1",
            "GRADIO_TEMP_DIR": uploads,
            "NO_PROXY": HOST,  # Gradio checks its own address once
        }
        try:
            import gradio as gr
        except ModuleNotFoundError:
            raise UserError("Gradio is not installed: run `make demo`, or pip install -e '.[demo]'") from None
        page = build(exports)
        page.launch(
            server_name=HOST, server_port=port, share=False, quiet=True, prevent_thread_lock=True, ssr_mode=False,
            theme=gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]),
            css_paths=Path(__file__).with_name("page.css"), footer_links=[], max_file_size="50mb",
        )  # fmt: skip
        print(f"Demo of the exported models: http://{HOST}:{port}   (Ctrl-C stops it)", flush=True)
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
        gr.Markdown("# torchprimer\nTry the trained models of this project.")
        for tab in (digits, photos, reviews, bikes, generators):
            with gr.Tab(tab.TITLE) as selected:
                names = [name for name in exports.descriptions if tab.handles(exports.results[name])]
                missing = [name for name in exports.missing if tab.handles(exports.results[name])]
                if names:
                    tab.build(exports, names, selected)
                if missing:
                    gr.Markdown(export_hint(missing, some_exported=bool(names)))
    return page


def export_hint(missing: Sequence[str], *, some_exported: bool) -> str:
    """Markdown: the models that a tab lacks and the command that exports them."""
    command = f"dvc repro {' '.join(f'export@{name}' for name in missing)}"
    title = "Not exported yet" if some_exported else "No model of this tab is exported yet"
    return f"{title}: {', '.join(missing)}. To export:\n```\n{command}\n```"
