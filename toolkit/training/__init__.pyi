from .inference import predict_files as predict_files, predict_folder as predict_folder
from .networks import NETWORKS as NETWORKS, build_network as build_network
from .params import Recipe as Recipe, TrainParams as TrainParams
from .runs import Run as Run, read_run as read_run, restore as restore
from .train import train_one as train_one, train_seeds as train_seeds
