from .params import Params as Params, load_params as load_params
from .project import init_project as init_project
