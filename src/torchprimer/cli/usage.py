"""What `torchprimer --help` and `torchprimer COMMAND --help` say: a line for each command, more about it, examples."""

from typing import NamedTuple


class Usage(NamedTuple):
    does: str
    examples: str = ""  # whole lines to type; empty: the command alone
    more: str = ""


COMMANDS = {
    "list": Usage(
        "all experiments with their scores, and what has been made of them",
        """torchprimer list
torchprimer list mnist dogs_vs_cats
torchprimer list --json""",
        """
Scores are of the validation split, which chose the epoch and the champion of each dataset, and of the test split, which
chose nothing. The last column says "champion", or what is still missing. Seconds are those of the training, the size is
that of the exported model.onnx.""",
    ),
    "show": Usage(
        "one experiment: data, params, scores, files, layers",
        """torchprimer show mnist_cnn
torchprimer show mnist_cnn net.0.weight
torchprimer show mnist_cnn net.0.weight --out filters.npy""",
    ),
    "predict": Usage(
        "what a trained model answers to images, rows of a table, texts",
        """torchprimer predict mnist_cnn digit.png more_digits/ --top 3
torchprimer predict dogs_vs_cats_cnn ~/Photos --csv > answers.csv
torchprimer predict reviews_bow '房间很干净' more_reviews.txt
torchprimer predict bike_sharing_tuned hours.csv
torchprimer predict hours_logistic hours=2.5
find . -name '*.png' | torchprimer predict mnist_cnn -
torchprimer predict /somewhere/mnist_cnn.export digit.png""",
        """
INPUT is, for a model of
  images     an image file, or a folder: all images in it; - for a path on each line of standard input
  tables     a CSV whose first line names the columns (more than the model needs do no harm); - for one on standard
             input; column=value ..., all together one row
  texts      a text; a .txt file with a text on each line; a CSV with a column "text"; - for lines on standard input

The answers are a table on a terminal. Elsewhere, or with --csv, they are a CSV: the input, the prediction, and for a
classifier p_CLASS, the probability of each class. With --json they are JSON Lines: an object a line, with "input",
"prediction", "probabilities".

What cannot be used is named on standard error, the rest is done, and the exit code is 1.""",
    ),
    "generate": Usage(
        "a picture of images that a trained generator makes of noise",
        """torchprimer generate mnist_dcgan --count 64 --seed 1 out.png
torchprimer generate mnist_gan digit.png""",
        """
Several images are a grid, a single one keeps its size. The same seed makes the same images.""",
    ),
    "demo": Usage(
        "a page to play with the exported models, on http://127.0.0.1:7860",
        "torchprimer demo\ntorchprimer demo --port 8000",
        """
Draw a digit, drop a photo, type a review, make up a day, move the noise of a generator. Ctrl-C ends it. It needs
Gradio: `make demo` installs that first.""",
    ),
    "add-photos": Usage(
        "bring photos of your own: a zip or a folder",
        "torchprimer add-photos ~/Downloads/train.zip\ntorchprimer add-photos ~/flowers --name flowers",
    ),
    "add-data": Usage(
        "bring a table or texts of your own",
        """torchprimer add-data ~/wine.csv --name wine
torchprimer add-data ~/mails/spam.txt ~/mails/ham.txt --name mails""",
    ),
    "ui": Usage(
        "MLflow's pages: all runs as a table, their curves, the registered models",
        "torchprimer ui\ntorchprimer ui --port 5001",
        """
On 127.0.0.1, until Ctrl-C ends it; of a team's server (MLFLOW_TRACKING_URI) it only says the address. The menu Views
has tables of what belongs together: classifiers, regression, generators, champions, folds.""",
    ),
    "sync": Usage(
        "log to MLflow what the workspace has and MLflow lacks",
        "torchprimer sync",
        """
What DVC restores from its cache or pulls from a remote runs no code, so MLflow sees nothing of it.""",
    ),
}
STAGES = {  # with an item
    "download": Usage("fetch raw data, and compare every file with its SHA-256", "torchprimer download mnist"),
    "split": Usage("decide which samples are train, validation and test", "torchprimer split dogs_vs_cats"),
    "preprocess": Usage("turn the samples into arrays ready for training", "torchprimer preprocess dogs_vs_cats"),
    "baseline": Usage("score a model that ignores its input, and a classic one", "torchprimer baseline diabetes"),
    "extract_features": Usage(
        "keep what a trained net's convolutions see", "torchprimer extract_features dogs_vs_cats_vgg16_conv"
    ),
    "crossvalidate": Usage("train an experiment once more on each fold", "torchprimer crossvalidate diabetes_tuned"),
    "train": Usage("train an experiment; one that was interrupted goes on", "torchprimer train mnist_cnn"),
    "evaluate": Usage("score a trained model on the test split", "torchprimer evaluate mnist_cnn"),
    "export": Usage("make a trained model a folder that takes raw input, for predict", "torchprimer export mnist_cnn"),
}
