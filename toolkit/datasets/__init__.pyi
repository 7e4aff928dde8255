from .folders import scan as scan
from .params import FetchParams as FetchParams, PrepareParams as PrepareParams
from .prepare import Selection as Selection, write_splits as write_splits
from .sources import SOURCES as SOURCES, fetch_source as fetch_source
