"""The visible loops, one file each: `train(...)` takes a model, the data and the params, and returns an `TrainResult`."""
